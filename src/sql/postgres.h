// Thin layer over libpq, never blocking outside poll(): every wait obeys the Context, and a
// cancelled query is cancelled on the server too (PQcancel).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/secret.h"

namespace seatrial::sql {

// Where a server is and as whom: a libpq URL or key=value string; empty fields fall back to
// libpq's own PG* variables and defaults (local socket).
struct PostgresTarget {
    Secret conninfo;         // may hold a password
    std::string database;    // overrides the one in conninfo when not empty
};

using PgRow = std::vector<std::optional<std::string>>;

// The SQLSTATE of an error made here travels as Error.mark "sqlstate:42P04".
std::string sqlstate_of(const Error& error);

// One connection. Thread: one at a time.
class Postgres {
public:
    // Sets client_connection_check_interval=200ms and application_name. Waits 10 s at most.
    // Resolving a host name is libpq's and not cut short. Errors: unavailable (cannot connect,
    // 53300 too many connections, 57P03 starting up), refused (28xxx login), not_found (3D000 no
    // such database), invalid (unreadable address; its text may hold a password, so it is not
    // repeated).
    static Result<Postgres> open(const PostgresTarget& target, const Context& ctx);
    Postgres(Postgres&&) noexcept;
    Postgres& operator=(Postgres&&) noexcept;
    ~Postgres();

    // One statement with $1 parameters (text). Identifiers go through quote_identifier.
    Result<std::vector<PgRow>> query(std::string_view sql,
                                     const std::vector<std::optional<std::string>>& values,
                                     const Context& ctx);
    // Without parameters, result dropped; several statements are one transaction unless they say
    // otherwise.
    Status execute(std::string_view sql, const Context& ctx);
    // Text that cannot be quoted (ill-formed UTF-8) becomes what no server accepts.
    std::string quote_identifier(std::string_view name) const;
    std::string quote_literal(std::string_view text) const;
    // SCRAM-SHA-256 verifier of a password, so that the password never reaches server or log.
    Result<std::string> scram_verifier(const std::string& role, const Secret& password) const;
    // Connected, in no transaction, and nothing has come from the server since the last answer.
    bool reusable() const;
    int server_version() const;    // e.g. 150018
    // What an app needs to reach the server over TCP or socket: host, port, as connected.
    std::string host() const;
    std::string port() const;
    // This connection as PG* variables for PostgreSQL's own tools, without the database. Holds
    // the password: for a child's environment only, never for its arguments or a log.
    std::vector<std::string> tool_environment() const;

private:
    struct Impl;
    explicit Postgres(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::sql
