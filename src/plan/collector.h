// The collector removes what nobody owns: everything that the types list with our mark, minus
// what the records own. Careful by rule: it looks twice, waits a grace, and asks before it would
// remove much. Unknown is not absent: a listing that fails removes nothing of that type.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "plan/resource.h"
#include "store/records.h"

namespace seatrial::plan {

struct SweepOptions {
    bool dry_run = false;
    bool confirmed = false;                          // a person has seen the list: no cap, no grace
    bool all_trash = false;                          // also what was thrown away a moment ago
    std::chrono::milliseconds grace{10 * 60'000};    // an orphan must be this old
    std::chrono::milliseconds shared_keep{7LL * 24 * 3'600'000};    // unused trees, templates
    std::size_t cap = 3;    // more than this and more than 20 %: stop and ask
};

// Thread: sweep() one at a time (own lock).
class Collector {
public:
    // Per type name, the places to list; asked for each pass.
    using Places = std::function<Result<std::map<std::string, std::vector<std::string>>>()>;
    Collector(const Types& types, store::Records& records, Places places);
    // Adds to `report`: orphans [{type, place, name, removed}], unused [...], unlisted [errors],
    // asks (true when it stopped because of the cap).
    Status sweep(const SweepOptions& options, nlohmann::json& report, const Context& ctx);

private:
    using Clock = std::chrono::steady_clock;
    Result<std::vector<Ref>> find_orphans(nlohmann::json& report, const Context& ctx);
    void remove(const std::vector<Ref>& refs, const SweepOptions& options, nlohmann::json& list,
                const Context& ctx);
    bool is_due(const Ref& ref, std::chrono::milliseconds grace, bool confirmed);

    const Types& types_;
    store::Records& records_;
    Places places_;
    std::mutex mutex_;
    std::map<Ref, Clock::time_point> first_seen_;
    std::size_t listed_ = 0;
};

}    // namespace seatrial::plan
