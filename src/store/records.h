// The records: what is wanted, what we own in the world, and what happened. SQLite (WAL), one
// file, one writer under the data directory's lock.
//
// `full` transactions are fsynced: a state change answered to anyone. Progress (steps) is
// `relaxed`: it survives kill -9, not a power cut, and is never needed to be right.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "sql/sqlite.h"

namespace seatrial::store {

inline constexpr int schema_version = 1;

// One existence of a preview (later: of a deployment), from first wanted to receipt.
struct Life {
    std::string id;    // ULID
    std::string kind = "preview";
    std::string app, key, env;           // the subject
    std::string state;                   // P5
    bool wanted = true;                  // false: shall be absent
    std::int64_t generation = 0;         // of what is wanted
    std::int64_t done_generation = 0;    // last generation whose plan ended, well or not
    std::string spec;                    // JSON snapshot of what is wanted
    std::string status;                  // JSON: urls, failure, isolation, restarts, receipt, ...
    WallTime created_at{}, changed_at{};
    std::optional<WallTime> expires_at;
    bool pinned = false, warned = false;
};

// A resource in the world that a life owns (life "" = shared by many).
struct Owned {
    std::string life;
    std::int64_t order = 0;
    std::string type, place, name;
};

struct Event {
    std::int64_t seq = 0;    // given by the store
    WallTime at{};
    std::string life;
    std::int64_t generation = 0;
    std::string actor;    // "uid:1000", "timer", "reconciler"
    std::string kind;     // "state", "step", "ttl", "operation", ...
    std::string data;     // JSON object
};

struct Slot {
    std::string kind;    // "port", "uid"
    std::string place;
    std::int64_t number = 0;
    std::string life;
    std::string role;    // component of a port
};

struct LifeFilter {
    std::string app, key, env;    // "" = any
    bool removed = false;         // include those whose removal is complete
};

// What may be done inside one transaction. Valid only during the callback.
class Writer {
public:
    explicit Writer(sql::Sqlite& db, std::vector<Event>& events) : db_(db), events_(events) {}
    Status put_life(const Life& life);    // insert or update by id
    Status add_event(Event event);
    Status add_owned(const Owned& owned,
                     bool* fresh = nullptr);    // repeatable; fresh: was not there
    Status remove_owned(const std::string& type, const std::string& place, const std::string& name);
    Status add_use(const std::string& life, const Owned& shared);    // a life uses a shared ref
    Status remove_uses(const std::string& life);
    Result<bool> take_slot(const Slot& slot);    // false: taken
    Status free_slots(const std::string& life);
    Status free_ports(const std::string& life);
    Status set_meta(const std::string& key, const std::string& value);
    Result<std::optional<Life>> live(const std::string& app, const std::string& key,
                                     const std::string& env);    // wanted and not removed
    Result<std::optional<Life>> life(const std::string& id);
    Result<std::vector<Life>> wanted_in(const std::string& env);
    Result<std::int64_t> count_owned(const std::string& life);
    Result<std::optional<std::int64_t>> slot_of_role(const std::string& kind,
                                                     const std::string& place,
                                                     const std::string& role);
    Status free_slot(const std::string& kind, const std::string& place, std::int64_t number);
    Result<std::int64_t> last_event();
    Status forget_before(WallTime events_before, WallTime removed_before);

private:
    sql::Sqlite& db_;
    std::vector<Event>& events_;
};

// Thread: any; readers and the writer work on own connections.
class Records {
public:
    // Creates, migrates forward, refuses a newer schema (`invalid`). Does not check integrity.
    static Result<std::unique_ptr<Records>> open(const std::filesystem::path& file);

    // Runs `body` and commits; on success the events are handed to the listener, in order.
    Status write(sql::Durability durability, const std::function<Status(Writer&)>& body);
    // Called after each commit that added events, on the writing thread, outside the lock.
    void on_events(std::function<void(const std::vector<Event>&)> listener);

    Result<std::optional<Life>> life(const std::string& id);
    Result<std::vector<Life>> lives(const LifeFilter& filter);
    Result<std::vector<std::string>> unfinished();                     // lives not removed
    Result<std::vector<Life>> expiring(WallTime before, int limit);    // wanted, not pinned
    Result<std::vector<Life>> unwarned(WallTime before,
                                       int limit);    // wanted, expiry not yet told
    Result<std::optional<WallTime>> next_expiry(bool warnings);
    Result<std::vector<Owned>> owned(const std::string& life);    // in order
    Result<std::vector<Owned>> owned_all();
    Result<std::vector<Owned>> shared_unused();    // shared refs that no life uses
    Result<std::vector<Slot>> slots(const std::string& kind, const std::string& place);
    Result<std::vector<Slot>> slots_of(const std::string& life);
    Result<std::vector<Event>> events(std::int64_t after, const std::string& life, int limit);
    // Steps of a generation, or of the newest one that had any when generation is 0.
    Result<std::vector<Event>> steps(const std::string& life, std::int64_t generation);
    Result<std::int64_t> last_event();
    Result<std::optional<std::string>> meta(const std::string& key);

    Status integrity_check(const std::filesystem::path& file);    // on a connection of its own
    Status backup_to(const std::filesystem::path& file);
    std::int64_t synced_commits() const;

private:
    struct Impl;
    explicit Records(std::unique_ptr<Impl> impl);

public:
    ~Records();

private:
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::store
