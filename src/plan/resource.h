// Everything that Seatrial brings into the world outside itself is a resource, addressed by a
// Ref and handled by the four functions of its type.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"

namespace seatrial::plan {

struct Ref {
    std::string type;     // never renamed or reused: it stands in the records
    std::string place;    // a configured store: "host", a PostgreSQL server's id
    std::string name;     // chosen once, base/names
    auto operator<=>(const Ref&) const = default;
};
std::string to_string(const Ref& ref);    // "type place/name"

enum class Presence { absent, partial, ready, foreign };
std::string_view to_string(Presence presence);

struct Observation {
    Presence presence = Presence::absent;
    std::string spec_hash;    // of what it was made from, when ready
    std::string detail;       // for people: pid, HEAD, size
};

// What a change of the spec means for one that is ready with another hash.
enum class OnChange {
    in_place,    // create() moves it (worktree, mount)
    replace,     // destroy(), then create() (process)
    keep,        // stays as it is (database)
};

struct Traits {
    OnChange on_change = OnChange::replace;
    std::string_view pool;     // "", or a bounded pool: clone, install, git
    int rank = 0;              // destruction goes from high rank to low
    std::string_view lane;     // things of two named lanes are destroyed side by side
    bool shared = false;       // content-named, made once, never destroyed by a plan
    bool owned = true;         // false: a check that leaves nothing behind (health)
    std::string_view title;    // step title for people: "database"
};

// How a create talks while it works: one line for the step list. Thread: any.
using Progress = std::function<void(std::string_view line)>;

// What destroy observed at the end, for the receipt.
struct Removal {
    std::string note;    // "dropped", "3 processes ended", "moved to trash"
    std::int64_t trash_bytes = 0;
};

// A type of resource. Implementations: one file each in resource/, fakes in tests/support.
// Thread: every function may run on any thread, different refs at once; calls for one ref are
// serialised by the executor. Errors mean unknown and change nothing in the caller's picture;
// `failed` and `invalid` are the user's fault (not retried), `unavailable` the world's.
class Type {
public:
    virtual ~Type() = default;
    virtual std::string_view name() const = 0;
    virtual Traits traits() const = 0;
    // Names of all that carries our mark at `place`, half-made things too.
    virtual Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) = 0;
    virtual Result<Observation> observe(const Ref& ref, const Context& ctx) = 0;
    // From absent, partial or (in_place) another spec to ready. Safe to repeat after dying at
    // any instruction. `spec` is the node's spec; what observe() reports as spec_hash afterwards
    // equals spec_hash(spec).
    virtual Status create(const Ref& ref, const nlohmann::json& spec, const Progress& progress,
                          const Context& ctx) = 0;
    // Gone, from the ref alone: no app file, branch or configuration is read. Safe to repeat,
    // absent is ok.
    virtual Result<Removal> destroy(const Ref& ref, const Context& ctx) = 0;
};

// Hash of a spec as create() gets it: 32 hex characters, independent of key order.
std::string spec_hash(const nlohmann::json& spec);

// The types this program knows, by name. Filled by app/, read-only afterwards.
class Types {
public:
    void add(std::unique_ptr<Type> type);
    Type* find(std::string_view name) const;    // nullptr: unknown (newer records)
    std::vector<Type*> all() const;

private:
    std::map<std::string, std::unique_ptr<Type>, std::less<>> types_;
};

}    // namespace seatrial::plan
