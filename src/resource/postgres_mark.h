// What we write on databases and roles of ours, and read back: one JSON object as comment,
//   {"seatrial": instance, "spec": hash, "migrating": hash, "migrated": hash}
// together with the name (base/names) and, on a database, the owner. For the pg-* types.
#pragma once

#include <optional>
#include <string>

#include "plan/resource.h"
#include "sql/postgres.h"

namespace seatrial::resource {

struct Mark {
    std::string instance;
    std::string spec;
    std::string migrating;    // started last; empty: never
    std::string migrated;     // finished last; empty: never
};

// Nothing for a comment that is no mark.
std::optional<Mark> parse_mark(const std::string& comment);
std::string render_mark(const Mark& mark);

// `invalid` for a name that this instance did not make: no mark, no touch.
Status check_name(const std::string& instance, const plan::Ref& ref);

// As the catalog has it.
struct DatabaseRow {
    std::string owner;
    bool owner_is_admin = false;    // whom we are connected as
    bool is_template = false;
    bool invalid = false;    // an interrupted DROP: can be dropped and nothing else
    std::optional<std::string> comment;
};
// A preview's database: it belongs to a role of ours from its first moment, and its owner may
// write what he likes into the comment. `ready` without a hash: the mark was overwritten.
plan::Observation judge_database(const std::optional<DatabaseRow>& row,
                                 const std::string& instance);
// A template: belongs to the admin, and only he can write its comment.
plan::Observation judge_template(const std::optional<DatabaseRow>& row,
                                 const std::string& instance);
Result<std::optional<DatabaseRow>> find_database(sql::Postgres& db, const std::string& name,
                                                 const Context& ctx);
// Names of databases that start with `mark`, with their owners.
struct NameAndOwner {
    std::string name;
    std::string owner;
};
Result<std::vector<NameAndOwner>> list_databases(sql::Postgres& db, const std::string& mark,
                                                 const Context& ctx);

// Gone when it returns ok, whatever state it was in and whoever was connected.
Status drop_database(sql::Postgres& db, const std::string& name, const Context& ctx);

// FILE_COPY or WAL_LOG, by what was measured: copying files is quicker except for small
// templates on a server that syncs to disk. Empty for servers that have no choice (before 15).
std::string clone_strategy(std::int64_t bytes, bool fsync, int server_version);
// CREATE DATABASE name OWNER owner TEMPLATE template, with the strategy that fits. "Exists" is
// the answer `conflict` (42P04, or 23505 when somebody was quicker).
Status clone_database(sql::Postgres& db, const std::string& name, const std::string& from,
                      const std::string& owner, const Context& ctx);

}    // namespace seatrial::resource
