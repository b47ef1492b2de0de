// Copies of a PostgreSQL database, made before a migration: which SQL tells what was written since,
// and puts one back. PostgreSQL's own programs do the rest (pg_dump, pg_restore, psql).
//
// A row was written since a copy when its xmin is not older than the oldest transaction that was
// open when the copy began; it was changed or removed when a table has fewer of the older rows. So
// a row may count that the copy has, but none is missed. Sequences and large objects are not
// counted. See PostgreSQL's manual, 5.5 (system columns) and 9.27 (txid_current_snapshot).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace seatrial::release {

// A copy of the database as it was before a migration.
struct Snapshot {
    std::string id;         // begins the names of its files in the environment's folder
    std::string tag;        // of the release whose migration came next
    std::string serving;    // tag of the release that served then; "" = none
    WallTime at{};
    std::int64_t bytes = 0;
};
nlohmann::json to_json(const Snapshot& snapshot);
Snapshot snapshot_of(const nlohmann::json& in);    // throws as nlohmann does

// One that a person wants back.
struct Restoring {
    std::string snapshot;     // id
    std::string slot;         // whose network and variables the steps have
    bool discard = false;     // what was written since may go; a copy of it is kept
    std::string container;    // begins the names of the steps; "" = none has begun
};
nlohmann::json to_json(const Restoring& wanted);
Restoring restoring_of(const nlohmann::json& in);    // throws as nlohmann does
// What a restore was refused for.
struct Losing {
    std::string snapshot, losses;    // as people are told
};

// For `psql --no-align --tuples-only`: prints one line of JSON, how many rows each table has.
std::string counting_sql();
// Runs before the copy's own SQL in one transaction: refuses with the JSON of what was written
// since `counted` (what counting_sql() printed then) unless `discard`, and removes all that the
// copy will make anew. `ignored`: "schema.table"; so are those of well-known migration tools.
// `invalid` when `counted` is none.
Result<std::string> guard_sql(std::string_view counted, const std::vector<std::string>& ignored,
                              bool discard);

struct Loss {
    std::string table;
    std::int64_t written = 0;    // rows added or changed since
    std::int64_t gone = 0;       // older rows changed or removed
};
// From what psql said: what the guard refused for, or only told; empty when nothing was written.
std::vector<Loss> losses_in(std::string_view said);
// "public.item (3 rows added or changed, 1 changed or removed)", the first few of them.
std::string render_losses(const std::vector<Loss>& losses);

}    // namespace seatrial::release
