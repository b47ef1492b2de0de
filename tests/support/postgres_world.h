// A PostgreSQL server with what the pg-* types work on: an admin with no more rights than the
// documentation asks for, a source database with one object of every kind, servers as the daemon
// has them.
#pragma once

#include <memory>
#include <string>

#include "resource/postgres_server.h"
#include "support/postgres.h"

namespace seatrial::test {

inline constexpr const char* postgres_place = "main";

// Servers whose one place is reached by `conninfo`; the same key everywhere.
resource::PostgresServers make_servers(const std::string& conninfo, const std::string& instance);

// Makes role `admin` (LOGIN CREATEDB CREATEROLE, nothing else) unless it is there.
void make_admin(const PrivatePostgres& server);

// Makes database `name` owned by `owner`: tables, sequences, views, types, functions of several
// kinds and owners, a large object. Rows: product (id, name), three of them.
void make_source(const PrivatePostgres& server, const std::string& name, const std::string& owner);

// Databases, roles (with comments and owners) and advisory locks.
std::string postgres_census(const std::string& conninfo);

}    // namespace seatrial::test
