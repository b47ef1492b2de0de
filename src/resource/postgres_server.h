// The PostgreSQL servers that previews' databases live on. A place of the types pg-template,
// pg-role and pg-database is the id of one of them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/secret.h"
#include "resource/postgres_lease.h"

namespace seatrial::resource {

// How far the migrations of a database came, kept in the database's comment.
struct MigrationStamp {
    std::string started;    // hash of what was begun last; empty: never
    std::string done;       // hash of what was finished last; empty: never
};

// The name of this host in containers (docker/containers.h, ContainerSpec::hosts).
inline constexpr std::string_view host_from_container = "host.docker.internal";

// Thread: any; nothing but the shelf of open connections changes after construction. Outside of
// a hold connections are made per call and closed: an idle preview holds none.
class PostgresServers {
public:
    // A target without a database means `postgres`; an empty conninfo means libpq's own
    // variables and defaults. `instance` marks names and comments; `key` makes passwords.
    PostgresServers(std::map<std::string, sql::PostgresTarget> targets, std::string instance,
                    Secret key);
    const std::string& instance() const { return instance_; }

    // Until it ends, connections for maintenance are used again.
    std::shared_ptr<void> hold() const { return PostgresShelf::hold(shelf_); }
    // As the admin, to `database` or, when empty, to the one for maintenance. Locks (below) hold
    // only among connections to the same database: always the maintenance one.
    // Errors: those of Postgres::open; `unavailable` for a place that is not configured.
    Result<PostgresLease> open(const std::string& place, const Context& ctx,
                               const std::string& database = {}) const;
    // For maintenance, used by nobody before or after: its settings may be changed.
    Result<PostgresLease> open_apart(const std::string& place, const Context& ctx) const;
    // open() and the advisory lock of `kind` and `name` until the lease ends: who holds it
    // is alone with that thing, also after a client that was killed while its server side went on.
    // It knows every role that was granted to us before.
    Result<PostgresLease> open_locked(const std::string& place, std::string_view kind,
                                      const std::string& name, const Context& ctx) const;

    // Password of a role of ours: HMAC-SHA256(key, role) in hex. Kept nowhere.
    Secret password_of(const std::string& role) const;
    // Who connects: a process of this host, or one in a container on it.
    enum class From { host, container };
    // For the app: postgresql://role:password@host:port/database. Asks the server how it can be
    // reached: TCP on this host is preferred to the socket, where the system's user would count.
    // From a container this host is `host_from_container`; `invalid`, with the remedy, when the
    // server listens where no container comes.
    Result<Secret> database_url(const std::string& place, const std::string& database,
                                const std::string& role, const Context& ctx,
                                From from = From::host) const;

    // Stamps of a database of ours; `not_found` when it is absent.
    Result<MigrationStamp> migration_of(const std::string& place, const std::string& database,
                                        const Context& ctx) const;
    Status mark_migrating(const std::string& place, const std::string& database,
                          const std::string& hash, const Context& ctx) const;
    Status mark_migrated(const std::string& place, const std::string& database,
                         const std::string& hash, const Context& ctx) const;

private:
    Result<sql::Postgres> connect(const std::string& place, const std::string& database,
                                  const Context& ctx) const;
    Status mark(const std::string& place, const std::string& database, const MigrationStamp& change,
                const Context& ctx) const;

    std::map<std::string, sql::PostgresTarget> targets_;
    std::string instance_;
    Secret key_;
    std::shared_ptr<PostgresShelf> shelf_ = std::make_shared<PostgresShelf>();
};

}    // namespace seatrial::resource
