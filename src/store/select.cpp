#include "store/select.h"

namespace seatrial::store {

const std::string life_columns =
    "id, kind, app, key, env, state, wanted, generation, done_generation, spec, status, "
    "created_at, changed_at, expires_at, pinned, warned";

const std::string approval_columns =
    "id, action, app, env, subject, digest, state, asked_by, reason, asked_at, expires_at, "
    "decided_by, decision_reason, decided_at, data";

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

Result<std::vector<Release>> select_releases(sql::Sqlite& db, const std::string& tail,
                                             const std::vector<sql::Value>& values) {
    std::vector<Release> rows;
    TRY(db.run("SELECT id, app, at, rejected, data FROM release WHERE " + tail, values,
               [&](const sql::Row& row) -> Status {
                   rows.push_back(
                       {row.text(0), row.text(1), wall(row.integer(2)), row.text(3), row.text(4)});
                   return {};
               }));
    return rows;
}

Result<std::vector<Incident>> select_incidents(sql::Sqlite& db, const std::string& tail,
                                               const std::vector<sql::Value>& values) {
    std::vector<Incident> rows;
    TRY(db.run("SELECT id, app, env, at, data FROM incident WHERE " + tail, values,
               [&](const sql::Row& row) -> Status {
                   rows.push_back(
                       {row.text(0), row.text(1), row.text(2), wall(row.integer(3)), row.text(4)});
                   return {};
               }));
    return rows;
}

Result<std::vector<Approval>> select_approvals(sql::Sqlite& db, const std::string& tail,
                                               const std::vector<sql::Value>& values) {
    std::vector<Approval> rows;
    TRY(db.run("SELECT " + approval_columns + " FROM approval WHERE " + tail, values,
               [&](const sql::Row& row) -> Status {
                   Approval out{row.text(0),           row.text(1),
                                row.text(2),           row.text(3),
                                row.text(4),           row.text(5),
                                row.text(6),           row.text(7),
                                row.text(8),           wall(row.integer(9)),
                                wall(row.integer(10)), row.text(11),
                                row.text(12),          {},
                                row.text(14)};
                   if (!row.null(13)) {
                       out.decided_at = wall(row.integer(13));
                   }
                   rows.push_back(std::move(out));
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

}    // namespace seatrial::store
