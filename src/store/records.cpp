#include "store/records.h"

#include <mutex>

#include "store/schema.h"

namespace seatrial::store {
namespace {

constexpr std::string_view life_columns =
    "id, kind, app, key, env, state, wanted, generation, done_generation, spec, status, "
    "created_at, changed_at, expires_at, pinned, warned";

std::int64_t millis(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime wall(std::int64_t value) {
    return WallTime(std::chrono::milliseconds(value));
}

Life read_life(const sql::Row& row) {
    Life life;
    life.id = row.text(0);
    life.kind = row.text(1);
    life.app = row.text(2);
    life.key = row.text(3);
    life.env = row.text(4);
    life.state = row.text(5);
    life.wanted = row.integer(6) != 0;
    life.generation = row.integer(7);
    life.done_generation = row.integer(8);
    life.spec = row.text(9);
    life.status = row.text(10);
    life.created_at = wall(row.integer(11));
    life.changed_at = wall(row.integer(12));
    if (!row.null(13)) {
        life.expires_at = wall(row.integer(13));
    }
    life.pinned = row.integer(14) != 0;
    life.warned = row.integer(15) != 0;
    return life;
}

Result<std::vector<Life>> select_lives(sql::Sqlite& db, const std::string& where,
                                       const std::vector<sql::Value>& values) {
    std::vector<Life> lives;
    TRY(db.run("SELECT " + std::string(life_columns) + " FROM life WHERE " + where, values,
               [&](const sql::Row& row) -> Status {
                   lives.push_back(read_life(row));
                   return {};
               }));
    return lives;
}

Result<std::optional<Life>> select_life(sql::Sqlite& db, const std::string& where,
                                        const std::vector<sql::Value>& values) {
    TRY_ASSIGN(auto lives, select_lives(db, where, values));
    if (lives.empty()) {
        return std::optional<Life>();
    }
    return std::optional<Life>(std::move(lives.front()));
}

Result<std::int64_t> select_number(sql::Sqlite& db, const std::string& text,
                                   const std::vector<sql::Value>& values) {
    std::int64_t number = 0;
    TRY(db.run(text, values, [&](const sql::Row& row) -> Status {
        number = row.integer(0);
        return {};
    }));
    return number;
}

Result<std::vector<Owned>> select_owned(sql::Sqlite& db, const std::string& where,
                                        const std::vector<sql::Value>& values) {
    std::vector<Owned> rows;
    TRY(db.run("SELECT life, position, type, place, name FROM owned " + where, values,
               [&](const sql::Row& row) -> Status {
                   rows.push_back(
                       {row.text(0), row.integer(1), row.text(2), row.text(3), row.text(4)});
                   return {};
               }));
    return rows;
}

Result<std::vector<Slot>> select_slots(sql::Sqlite& db, const std::string& where,
                                       const std::vector<sql::Value>& values) {
    std::vector<Slot> rows;
    TRY(db.run("SELECT kind, place, number, life, role FROM slot WHERE " + where, values,
               [&](const sql::Row& row) -> Status {
                   rows.push_back(
                       {row.text(0), row.text(1), row.integer(2), row.text(3), row.text(4)});
                   return {};
               }));
    return rows;
}

Result<std::vector<Event>> select_events(sql::Sqlite& db, const std::string& tail,
                                         const std::vector<sql::Value>& values) {
    std::vector<Event> rows;
    TRY(db.run("SELECT seq, at, life, generation, actor, kind, data FROM event WHERE " + tail,
               values, [&](const sql::Row& row) -> Status {
                   rows.push_back({row.integer(0), wall(row.integer(1)), row.text(2),
                                   row.integer(3), row.text(4), row.text(5), row.text(6)});
                   return {};
               }));
    return rows;
}

}    // namespace

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

Result<std::optional<Life>> Writer::live(const std::string& app, const std::string& key,
                                         const std::string& env) {
    return select_life(db_, "wanted = 1 AND app = ? AND key = ? AND env = ?", {app, key, env});
}

Result<std::optional<Life>> Writer::life(const std::string& id) {
    return select_life(db_, "id = ?", {id});
}

Result<std::vector<Life>> Writer::wanted_in(const std::string& env) {
    return select_lives(db_, "wanted = 1 AND env = ? ORDER BY id", {env});
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

struct Records::Impl {
    Impl(sql::Sqlite writer, sql::Sqlite reader)
        : writer_db(std::move(writer)), reader_db(std::move(reader)) {}

    template <class Function>
    auto read(Function&& function) {
        const std::lock_guard lock(reader_mutex);
        return function(reader_db);
    }

    std::mutex writer_mutex;
    sql::Sqlite writer_db;
    std::mutex reader_mutex;
    sql::Sqlite reader_db;
    std::mutex listener_mutex;
    std::function<void(const std::vector<Event>&)> listener;
};

Records::Records(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Records::~Records() = default;

Result<std::unique_ptr<Records>> Records::open(const std::filesystem::path& file) {
    TRY_ASSIGN(auto writer, sql::Sqlite::open(file));
    TRY(migrate_schema(writer));
    TRY_ASSIGN(auto reader, sql::Sqlite::open(file));
    return std::unique_ptr<Records>(
        new Records(std::make_unique<Impl>(std::move(writer), std::move(reader))));
}

Status Records::write(sql::Durability durability, const std::function<Status(Writer&)>& body) {
    std::vector<Event> events;
    {
        const std::lock_guard lock(impl_->writer_mutex);
        TRY(impl_->writer_db.transaction(durability, [&]() -> Status {
            Writer writer(impl_->writer_db, events);
            return body(writer);
        }));
    }
    if (!events.empty()) {
        std::function<void(const std::vector<Event>&)> listener;
        {
            const std::lock_guard lock(impl_->listener_mutex);
            listener = impl_->listener;
        }
        if (listener) {
            listener(events);
        }
    }
    return {};
}

void Records::on_events(std::function<void(const std::vector<Event>&)> listener) {
    const std::lock_guard lock(impl_->listener_mutex);
    impl_->listener = std::move(listener);
}

Result<std::optional<Life>> Records::life(const std::string& id) {
    return impl_->read([&](sql::Sqlite& db) { return select_life(db, "id = ?", {id}); });
}

Result<std::vector<Life>> Records::lives(const LifeFilter& filter) {
    std::string where = filter.removed ? "1 = 1" : "state <> 'removed'";
    std::vector<sql::Value> values;
    const auto add = [&](std::string_view column, const std::string& value) {
        if (!value.empty()) {
            where += " AND " + std::string(column) + " = ?";
            values.emplace_back(value);
        }
    };
    add("app", filter.app);
    add("key", filter.key);
    add("env", filter.env);
    return impl_->read(
        [&](sql::Sqlite& db) { return select_lives(db, where + " ORDER BY id", values); });
}

Result<std::vector<std::string>> Records::unfinished() {
    std::vector<std::string> ids;
    const auto status = impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT id FROM life WHERE state <> 'removed' ORDER BY id", {},
                      [&](const sql::Row& row) -> Status {
                          ids.push_back(row.text(0));
                          return {};
                      });
    });
    TRY(status);
    return ids;
}

Result<std::vector<Life>> Records::expiring(WallTime before, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_lives(db,
                            "wanted = 1 AND pinned = 0 AND expires_at <= ? ORDER BY expires_at "
                            "LIMIT ?",
                            {millis(before), limit});
    });
}

Result<std::vector<Life>> Records::unwarned(WallTime before, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_lives(db,
                            "wanted = 1 AND pinned = 0 AND warned = 0 AND expires_at <= ? ORDER BY "
                            "expires_at LIMIT ?",
                            {millis(before), limit});
    });
}

Result<std::optional<WallTime>> Records::next_expiry(bool warnings) {
    std::optional<WallTime> next;
    const std::string extra = warnings ? " AND warned = 0" : "";
    const auto status = impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT min(expires_at) FROM life WHERE wanted = 1 AND pinned = 0" + extra,
                      {}, [&](const sql::Row& row) -> Status {
                          if (!row.null(0)) {
                              next = wall(row.integer(0));
                          }
                          return {};
                      });
    });
    TRY(status);
    return next;
}

Result<std::vector<Owned>> Records::owned(const std::string& life) {
    return impl_->read([&](sql::Sqlite& db) {
        return select_owned(db, "WHERE life = ? ORDER BY position", {life});
    });
}

Result<std::vector<Owned>> Records::owned_all() {
    return impl_->read([&](sql::Sqlite& db) { return select_owned(db, "", {}); });
}

Result<std::vector<Owned>> Records::shared_unused() {
    return impl_->read([&](sql::Sqlite& db) {
        return select_owned(db,
                            "AS o WHERE life = '' AND NOT EXISTS (SELECT 1 FROM uses AS u WHERE "
                            "u.type = o.type AND u.place = o.place AND u.name = o.name)",
                            {});
    });
}

Result<std::vector<Slot>> Records::slots(const std::string& kind, const std::string& place) {
    return impl_->read(
        [&](sql::Sqlite& db) { return select_slots(db, "kind = ? AND place = ?", {kind, place}); });
}

Result<std::vector<Slot>> Records::slots_of(const std::string& life) {
    return impl_->read([&](sql::Sqlite& db) { return select_slots(db, "life = ?", {life}); });
}

Result<std::vector<Event>> Records::events(std::int64_t after, const std::string& life, int limit) {
    return impl_->read([&](sql::Sqlite& db) {
        if (life.empty()) {
            return select_events(db, "seq > ? ORDER BY seq LIMIT ?", {after, limit});
        }
        return select_events(db, "life = ? AND seq > ? ORDER BY seq LIMIT ?", {life, after, limit});
    });
}

Result<std::vector<Event>> Records::steps(const std::string& life, std::int64_t generation) {
    return impl_->read([&](sql::Sqlite& db) {
        if (generation > 0) {
            return select_events(db, "life = ? AND kind = 'step' AND generation = ? ORDER BY seq",
                                 {life, generation});
        }
        return select_events(db,
                             "life = ? AND kind = 'step' AND generation = (SELECT max(generation) "
                             "FROM event WHERE life = ? AND kind = 'step') ORDER BY seq",
                             {life, life});
    });
}

Result<std::int64_t> Records::last_event() {
    return impl_->read([&](sql::Sqlite& db) {
        return select_number(db, "SELECT coalesce(max(seq), 0) FROM event", {});
    });
}

Result<std::optional<std::string>> Records::meta(const std::string& key) {
    std::optional<std::string> value;
    const auto status = impl_->read([&](sql::Sqlite& db) {
        return db.run("SELECT value FROM meta WHERE key = ?", {key},
                      [&](const sql::Row& row) -> Status {
                          value = row.text(0);
                          return {};
                      });
    });
    TRY(status);
    return value;
}

Status Records::integrity_check(const std::filesystem::path& file) {
    TRY_ASSIGN(auto db, sql::Sqlite::open(file, true));
    return db.integrity_check();
}

Status Records::backup_to(const std::filesystem::path& file) {
    const std::lock_guard lock(impl_->reader_mutex);
    return impl_->reader_db.backup_to(file);
}

std::int64_t Records::synced_commits() const {
    return impl_->writer_db.synced_commits();
}

}    // namespace seatrial::store
