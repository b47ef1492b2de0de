// One transaction on the records.
#pragma once

#include <string>
#include <vector>

#include "sql/sqlite.h"
#include "store/values.h"

namespace seatrial::store {

// What may be done inside one transaction. Valid only during the callback.
class Writer {
public:
    explicit Writer(sql::Sqlite& db, std::vector<Event>& events) : db_(db), events_(events) {}
    Status put_life(const Life& life);    // insert or update by id
    // What the reconciler found out (state, wanted, generation, done_generation, spec, status), if
    // the records still have generation `seen`; `cancelled` when somebody wants something newer.
    // Never touches what people set: expiry, pin.
    Status settle(const Life& life, std::int64_t seen);
    Status add_event(Event event);
    Status add_owned(const Owned& owned,
                     bool* fresh = nullptr);    // repeatable; fresh: was not there
    Status remove_owned(const std::string& type, const std::string& place, const std::string& name);
    Status add_use(const std::string& life, const Owned& shared);    // a life uses a shared ref
    Status remove_uses(const std::string& life);
    Result<bool> take_slot(const Slot& slot);    // false: taken
    Result<std::vector<Slot>> slots(const std::string& kind, const std::string& place);
    Status free_slots(const std::string& life);
    Status free_ports(const std::string& life);
    Status set_meta(const std::string& key, const std::string& value);
    // Wanted and not removed.
    Result<std::optional<Life>> live(const std::string& kind, const std::string& app,
                                     const std::string& key, const std::string& env);
    Result<std::optional<Life>> life(const std::string& id);
    Result<std::vector<Life>> wanted_in(const std::string& kind, const std::string& env);
    Status put_release(const Release& release);    // insert, or change `rejected`
    Result<std::optional<Release>> release(const std::string& id);
    Status forget_release(const std::string& id);
    Status add_incident(const Incident& incident);
    Status add_approval(const Approval& approval);
    // Writes state and decision of one that is still open; false: somebody was first.
    Result<bool> settle_approval(const Approval& approval);
    Result<std::optional<Approval>> approval(const std::string& id);
    Result<std::vector<Approval>> open_approvals(const std::string& app, const std::string& env);
    Result<std::vector<Approval>> overdue_approvals(WallTime now);    // open and past their time
    Result<std::int64_t> count_owned(const std::string& life);
    Result<std::optional<std::int64_t>> slot_of_role(const std::string& kind,
                                                     const std::string& place,
                                                     const std::string& role);
    Status free_slot(const std::string& kind, const std::string& place, std::int64_t number);
    // Moves the end of wanted lives that were there at `before` and then still had time.
    Status shift_expiry(WallTime before, std::chrono::milliseconds by);
    Result<std::int64_t> last_event();
    Status forget_before(WallTime events_before, WallTime removed_before);

private:
    sql::Sqlite& db_;
    std::vector<Event>& events_;
};

}    // namespace seatrial::store
