#include "store/writer.h"

#include "store/select.h"

namespace seatrial::store {

Status Writer::put_life(const Life& life) {
    const sql::Value expires =
        life.expires_at ? sql::Value(millis(*life.expires_at)) : sql::Value();
    return db_.run(
        "INSERT INTO life (" + std::string(life_columns) +
            ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET "
            "state = excluded.state, wanted = excluded.wanted, generation = excluded.generation, "
            "done_generation = excluded.done_generation, spec = excluded.spec, "
            "status = excluded.status, changed_at = excluded.changed_at, "
            "expires_at = excluded.expires_at, pinned = excluded.pinned, warned = excluded.warned",
        {life.id, life.kind, life.app, life.key, life.env, life.state, life.wanted, life.generation,
         life.done_generation, life.spec, life.status, millis(life.created_at),
         millis(life.changed_at), expires, life.pinned, life.warned});
}

Status Writer::settle(const Life& life, std::int64_t seen) {
    TRY(db_.run(
        "UPDATE life SET state = ?, wanted = ?, generation = ?, done_generation = ?, spec = "
        "?, status = ?, changed_at = ? WHERE id = ? AND generation = ?",
        {life.state, life.wanted, life.generation, life.done_generation, life.spec, life.status,
         millis(life.changed_at), life.id, seen}));
    if (db_.changes() == 0) {
        return fail(Code::cancelled, "something newer is wanted");
    }
    return {};
}

Status Writer::shift_expiry(WallTime before, std::chrono::milliseconds by) {
    return db_.run(
        "UPDATE life SET expires_at = expires_at + ? WHERE wanted = 1 AND created_at <= ? AND "
        "expires_at > ?",
        {static_cast<std::int64_t>(by.count()), millis(before), millis(before)});
}

Status Writer::add_event(Event event) {
    TRY(db_.run(
        "INSERT INTO event (at, life, generation, actor, kind, data) VALUES (?,?,?,?,?,?)",
        {millis(event.at), event.life, event.generation, event.actor, event.kind, event.data}));
    event.seq = db_.last_id();
    events_.push_back(std::move(event));
    return {};
}

Status Writer::add_owned(const Owned& owned, bool* fresh) {
    TRY(
        db_.run("INSERT INTO owned (life, position, type, place, name) VALUES (?,?,?,?,?) "
                "ON CONFLICT (type, place, name) DO NOTHING",
                {owned.life, owned.order, owned.type, owned.place, owned.name}));
    if (fresh != nullptr) {
        *fresh = db_.changes() > 0;
    }
    return {};
}

Status Writer::remove_owned(const std::string& type, const std::string& place,
                            const std::string& name) {
    return db_.run("DELETE FROM owned WHERE type = ? AND place = ? AND name = ?",
                   {type, place, name});
}

Status Writer::add_use(const std::string& life, const Owned& shared) {
    return db_.run(
        "INSERT INTO uses (life, type, place, name) VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
        {life, shared.type, shared.place, shared.name});
}

Status Writer::remove_uses(const std::string& life) {
    return db_.run("DELETE FROM uses WHERE life = ?", {life});
}

Result<bool> Writer::take_slot(const Slot& slot) {
    TRY(
        db_.run("INSERT INTO slot (kind, place, number, life, role) VALUES (?,?,?,?,?) "
                "ON CONFLICT (kind, place, number) DO NOTHING",
                {slot.kind, slot.place, slot.number, slot.life, slot.role}));
    return db_.changes() > 0;
}

Result<std::vector<Slot>> Writer::slots(const std::string& kind, const std::string& place) {
    return select_slots(db_, "kind = ? AND place = ?", {kind, place});
}

Status Writer::free_slots(const std::string& life) {
    return db_.run("DELETE FROM slot WHERE life = ?", {life});
}

Status Writer::free_ports(const std::string& life) {
    return db_.run("DELETE FROM slot WHERE life = ? AND kind = 'port'", {life});
}

Status Writer::set_meta(const std::string& key, const std::string& value) {
    return db_.run(
        "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET "
        "value = excluded.value",
        {key, value});
}

Result<std::optional<Life>> Writer::live(const std::string& kind, const std::string& app,
                                         const std::string& key, const std::string& env) {
    return select_life(db_, "wanted = 1 AND kind = ? AND app = ? AND key = ? AND env = ?",
                       {kind, app, key, env});
}

Result<std::optional<Life>> Writer::life(const std::string& id) {
    return select_life(db_, "id = ?", {id});
}

Result<std::vector<Life>> Writer::wanted_in(const std::string& kind, const std::string& env) {
    return select_lives(db_, "wanted = 1 AND kind = ? AND env = ? ORDER BY id", {kind, env});
}

Status Writer::put_release(const Release& release) {
    return db_.run(
        "INSERT INTO release (id, app, at, rejected, data) VALUES (?,?,?,?,?) ON CONFLICT (id) "
        "DO UPDATE SET rejected = excluded.rejected",
        {release.id, release.app, millis(release.at), release.rejected, release.data});
}

Result<std::optional<Release>> Writer::release(const std::string& id) {
    TRY_ASSIGN(auto found, select_releases(db_, "id = ?", {id}));
    return found.empty() ? std::optional<Release>() : std::move(found.front());
}

Status Writer::forget_release(const std::string& id) {
    return db_.run("DELETE FROM release WHERE id = ?", {id});
}

Status Writer::add_incident(const Incident& incident) {
    return db_.run("INSERT INTO incident (id, app, env, at, data) VALUES (?,?,?,?,?)",
                   {incident.id, incident.app, incident.env, millis(incident.at), incident.data});
}

Status Writer::add_approval(const Approval& in) {
    const sql::Value decided = in.decided_at ? sql::Value(millis(*in.decided_at)) : sql::Value();
    return db_.run(
        "INSERT INTO approval (" + approval_columns + ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        {in.id, in.action, in.app, in.env, in.subject, in.digest, in.state, in.asked_by, in.reason,
         millis(in.asked_at), millis(in.expires_at), in.decided_by, in.decision_reason, decided,
         in.data});
}

Result<bool> Writer::settle_approval(const Approval& in) {
    const sql::Value decided = in.decided_at ? sql::Value(millis(*in.decided_at)) : sql::Value();
    TRY(
        db_.run("UPDATE approval SET state = ?, decided_by = ?, decision_reason = ?, decided_at = "
                "? WHERE id = ? AND state = 'open'",
                {in.state, in.decided_by, in.decision_reason, decided, in.id}));
    return db_.changes() > 0;
}

Result<std::optional<Approval>> Writer::approval(const std::string& id) {
    TRY_ASSIGN(auto found, select_approvals(db_, "id = ?", {id}));
    return found.empty() ? std::optional<Approval>() : std::move(found.front());
}

Result<std::vector<Approval>> Writer::open_approvals(const std::string& app,
                                                     const std::string& env) {
    return select_approvals(db_, "app = ? AND env = ? AND state = 'open' ORDER BY id", {app, env});
}

Result<std::vector<Approval>> Writer::overdue_approvals(WallTime now) {
    return select_approvals(db_, "state = 'open' AND expires_at <= ? ORDER BY id", {millis(now)});
}

Result<std::int64_t> Writer::count_owned(const std::string& life) {
    return select_number(db_, "SELECT count(*) FROM owned WHERE life = ?", {life});
}

Result<std::optional<std::int64_t>> Writer::slot_of_role(const std::string& kind,
                                                         const std::string& place,
                                                         const std::string& role) {
    TRY_ASSIGN(const auto rows,
               select_slots(db_, "kind = ? AND place = ? AND role = ?", {kind, place, role}));
    return rows.empty() ? std::optional<std::int64_t>() : rows.front().number;
}

Status Writer::free_slot(const std::string& kind, const std::string& place, std::int64_t number) {
    return db_.run("DELETE FROM slot WHERE kind = ? AND place = ? AND number = ?",
                   {kind, place, number});
}

Result<std::int64_t> Writer::last_event() {
    return select_number(db_, "SELECT coalesce(max(seq), 0) FROM event", {});
}

Status Writer::forget_before(WallTime events_before, WallTime removed_before) {
    TRY(
        db_.run("DELETE FROM event WHERE at < ? AND (life = '' OR life NOT IN (SELECT id FROM "
                "life WHERE state <> 'removed'))",
                {millis(events_before)}));
    return db_.run("DELETE FROM life WHERE state = 'removed' AND changed_at < ?",
                   {millis(removed_before)});
}

}    // namespace seatrial::store
