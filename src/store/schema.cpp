#include "store/schema.h"

#include <array>

namespace seatrial::store {
namespace {

// Migration N brings version N to N + 1. Never edited once released; only appended.
constexpr std::array<const char*, 3> migrations = {R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE life (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    app TEXT NOT NULL,
    key TEXT NOT NULL,
    env TEXT NOT NULL,
    state TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    done_generation INTEGER NOT NULL,
    spec TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    expires_at INTEGER,
    pinned INTEGER NOT NULL,
    warned INTEGER NOT NULL
);
-- No duplicates per subject; a stopping life does not stand in the way of a new one.
CREATE UNIQUE INDEX life_subject ON life (app, key, env) WHERE wanted = 1;
CREATE INDEX life_expiry ON life (expires_at) WHERE wanted = 1 AND pinned = 0;
CREATE INDEX life_unfinished ON life (id) WHERE state <> 'removed';

-- Columns of the key first: integrity_check of SQLite 3.40 reads the wrong column of a WITHOUT
-- ROWID table otherwise and reports NULLs that are not there.
CREATE TABLE owned (
    type TEXT NOT NULL,
    place TEXT NOT NULL,
    name TEXT NOT NULL,
    life TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (type, place, name)
) WITHOUT ROWID;
CREATE INDEX owned_life ON owned (life, position);

CREATE TABLE uses (
    life TEXT NOT NULL,
    type TEXT NOT NULL,
    place TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (life, type, place, name)
) WITHOUT ROWID;
CREATE INDEX uses_ref ON uses (type, place, name);

CREATE TABLE slot (
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    number INTEGER NOT NULL,
    life TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (kind, place, number)
) WITHOUT ROWID;
CREATE INDEX slot_life ON slot (life);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    life TEXT NOT NULL,
    generation INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX event_life ON event (life, seq);
)sql",
                                                   R"sql(
-- A deployment of an app is a life beside its previews.
DROP INDEX life_subject;
CREATE UNIQUE INDEX life_subject ON life (kind, app, key, env) WHERE wanted = 1;

-- Questions that many ask while a crowd of previews ends.
CREATE INDEX life_key ON life (key);
CREATE INDEX life_unwarned ON life (expires_at) WHERE wanted = 1 AND pinned = 0 AND warned = 0;
CREATE INDEX life_ending ON life (id) WHERE wanted = 0 AND state <> 'removed';

CREATE TABLE release (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    at INTEGER NOT NULL,
    rejected TEXT NOT NULL,
    data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX release_app ON release (app, id);

CREATE TABLE incident (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    env TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX incident_app ON incident (app, id);
)sql",
                                                   R"sql(
CREATE TABLE approval (
    id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    app TEXT NOT NULL,
    env TEXT NOT NULL,
    subject TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    decided_by TEXT NOT NULL,
    decision_reason TEXT NOT NULL,
    decided_at INTEGER,
    data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX approval_place ON approval (app, env, id);
CREATE INDEX approval_open ON approval (expires_at) WHERE state = 'open';
)sql"};
static_assert(migrations.size() == schema_version);

}    // namespace

Status migrate_schema(sql::Sqlite& db) {
    std::int64_t version = 0;
    TRY(db.run("PRAGMA user_version", {}, [&](const sql::Row& row) -> Status {
        version = row.integer(0);
        return {};
    }));
    if (version > schema_version) {
        return fail(Code::invalid,
                    "the records have schema " + std::to_string(version) +
                        ", this program knows up to " + std::to_string(schema_version),
                    "start the newer seatrial, or restore a backup made by this version");
    }
    for (; version < schema_version; ++version) {
        TRY(db.transaction(sql::Durability::full, [&]() -> Status {
            TRY(db.script(migrations[static_cast<std::size_t>(version)]));
            return db.script("PRAGMA user_version = " + std::to_string(version + 1));
        }));
    }
    return {};
}

}    // namespace seatrial::store
