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
#include "store/values.h"
#include "store/writer.h"

namespace seatrial::store {

// Thread: any; readers and the writer work on own connections.
class Records {
public:
    // Creates, migrates forward, refuses a newer schema (`invalid`). Does not check integrity.
    static Result<std::unique_ptr<Records>> open(const std::filesystem::path& file);

    // Runs `body` and commits; on success the events are handed to the listener, in order. On a
    // full disk it gives the reserve away and runs `body` once more: what is there can be ended.
    Status write(sql::Durability durability, const std::function<Status(Writer&)>& body);
    // Fills <file>.reserve again, as far as there is room; open() does it, too.
    void keep_reserve();
    // Called after each commit that added events, on the writing thread, outside the lock.
    void on_events(std::function<void(const std::vector<Event>&)> listener);

    Result<std::optional<Life>> life(const std::string& id);
    Result<std::vector<Life>> lives(const LifeFilter& filter);
    Result<std::vector<std::string>> unfinished(const std::string& kind);    // not removed
    Result<std::vector<Life>> expiring(WallTime before, int limit);          // wanted, not pinned
    Result<std::vector<Life>> unwarned(WallTime before,
                                       int limit);    // wanted, expiry not yet told
    Result<std::optional<WallTime>> next_expiry(bool warnings);
    Result<std::int64_t> ending();    // lives no longer wanted and not yet removed
    Result<std::vector<Owned>> owned(const std::string& life);    // in order
    Result<std::vector<Owned>> owned_all();
    Result<std::vector<Owned>> shared_unused();    // shared refs that no life uses
    Result<std::vector<Slot>> slots(const std::string& kind, const std::string& place);
    Result<std::vector<Slot>> slots_of(const std::string& life);
    // Newest first; of all apps when `app` is empty.
    Result<std::vector<Release>> releases(const std::string& app, int limit);
    Result<std::optional<Release>> release(const std::string& id);
    Result<std::vector<Incident>> incidents(const std::string& app, const std::string& env,
                                            int limit);    // "" = any
    Result<std::optional<Approval>> approval(const std::string& id);
    // Newest first; "" = any.
    Result<std::vector<Approval>> approvals(const std::string& app, const std::string& env,
                                            bool open, int limit);
    Result<std::optional<WallTime>> next_approval_expiry();    // of the open ones
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
