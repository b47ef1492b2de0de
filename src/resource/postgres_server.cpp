#include "resource/postgres_server.h"

#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "resource/postgres_mark.h"

namespace seatrial::resource {
namespace {

// RFC 3986: what is not unreserved is escaped.
std::string percent_encode(std::string_view text) {
    constexpr std::string_view unreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if (unreserved.find(c) != std::string_view::npos) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

bool listens_here(const std::string& listen_addresses) {
    for (const std::string_view part : split(listen_addresses, ',')) {
        const std::string_view address = trim(part);
        if (address == "*" || address == "0.0.0.0" || address == "localhost" ||
            address == "127.0.0.1") {
            return true;
        }
    }
    return false;
}

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// Where a container finds the server of this host that listens at these addresses.
Result<std::string> address_for_containers(const std::string& listen_addresses) {
    std::string own;    // an address of this host that is not its loopback
    for (const std::string_view part : split(listen_addresses, ',')) {
        const std::string address(trim(part));
        if (address == "*" || address == "0.0.0.0") {
            return std::string(host_from_container);
        }
        if (!address.empty() && !is_loopback(address) && address.find(':') == std::string::npos) {
            own = address;
        }
    }
    if (own.empty()) {
        return fail(Code::invalid,
                    "PostgreSQL listens on " +
                        (listen_addresses.empty() ? "its socket" : printable(listen_addresses)) +
                        " only, where no container reaches it",
                    "let it listen on the address of Docker's bridge too "
                    "(listen_addresses = 'localhost,172.17.0.1' in postgresql.conf, then restart "
                    "it), and let containers in (pg_hba.conf: host all all 172.16.0.0/12 "
                    "scram-sha-256)");
    }
    return own;
}

std::string value_of(const std::vector<std::string>& environment, std::string_view name) {
    for (const std::string& line : environment) {
        if (line.starts_with(name)) {
            return line.substr(name.size());
        }
    }
    return {};
}

// The lock; then the session's memory of the roles that we belong to (room for one reader, apart
// for each kind of question) is overwritten with another role's. One that was computed while a role
// was granted to us may lack that role for good (seen on 15: the server's roles_is_member_of()
// heeds no invalidation that comes in its middle), and "must be owner" would be the answer about
// its database.
std::string lock_statement(int server_version) {
    const std::string other = ", pg_has_role('pg_monitor', 'pg_read_all_stats', ";
    return "SELECT pg_advisory_lock($1::bigint)" + other + "'MEMBER')" + other + "'USAGE')" +
           (server_version >= 160000 ? other + "'SET')" : "");
}

// 64 bits of a digest: two things share a lock by chance only, and then merely wait.
std::string lock_key(std::string_view kind, const std::string& name) {
    const std::string digest = crypto::sha256_hex(std::string(kind) + "\n" + name);
    return std::to_string(
        static_cast<std::int64_t>(std::stoull(digest.substr(0, 16), nullptr, 16)));
}

}    // namespace

PostgresServers::PostgresServers(std::map<std::string, sql::PostgresTarget> targets,
                                 std::string instance, Secret key)
    : targets_(std::move(targets)), instance_(std::move(instance)), key_(std::move(key)) {}

Result<sql::Postgres> PostgresServers::connect(const std::string& place,
                                               const std::string& database,
                                               const Context& ctx) const {
    const auto found = targets_.find(place);
    if (found == targets_.end()) {
        return fail(Code::unavailable, "no PostgreSQL server is configured as " + printable(place),
                    "keep a server in the configuration as long as something of ours is on it");
    }
    sql::PostgresTarget target = found->second;
    if (!database.empty()) {
        target.database = database;
    } else if (target.database.empty()) {
        target.database = "postgres";
    }
    return sql::Postgres::open(target, ctx);
}

Result<PostgresLease> PostgresServers::open(const std::string& place, const Context& ctx,
                                            const std::string& database) const {
    TRY(ctx.ok());
    if (!database.empty()) {
        TRY_ASSIGN(auto db, connect(place, database, ctx));
        return PostgresLease(std::move(db));
    }
    auto kept = shelf_->take(place);
    if (!kept) {
        TRY_ASSIGN(kept, connect(place, "", ctx));
    }
    return PostgresLease(std::move(*kept), shelf_, place);
}

Result<PostgresLease> PostgresServers::open_apart(const std::string& place,
                                                  const Context& ctx) const {
    TRY_ASSIGN(auto db, connect(place, "", ctx));
    return PostgresLease(std::move(db));
}

Result<PostgresLease> PostgresServers::open_locked(const std::string& place, std::string_view kind,
                                                   const std::string& name,
                                                   const Context& ctx) const {
    TRY_ASSIGN(auto db, open(place, ctx));
    db.set_locked();
    TRY(db.query(lock_statement(db.server_version()), {lock_key(kind, name)}, ctx));
    return db;
}

Secret PostgresServers::password_of(const std::string& role) const {
    return Secret(crypto::hmac_sha256_hex(key_, role));
}

Result<Secret> PostgresServers::database_url(const std::string& place, const std::string& database,
                                             const std::string& role, const Context& ctx,
                                             From from) const {
    TRY_ASSIGN(auto db, open(place, ctx));
    std::string host = db.host();
    std::string query;
    const bool socket = host.starts_with('/');
    if (socket || (from == From::container && is_loopback(host))) {
        TRY_ASSIGN(const auto rows, db.query("SHOW listen_addresses", {}, ctx));
        const std::string addresses = rows.empty() ? "" : rows[0][0].value_or("");
        if (from == From::container) {
            TRY_ASSIGN(host, address_for_containers(addresses));
        } else {
            const bool tcp = listens_here(addresses);
            // Drivers take the host of the query before the other one.
            query = tcp ? "" : "?host=" + percent_encode(host);
            host = tcp ? "127.0.0.1" : "localhost";
        }
    }
    const std::string mode = value_of(db.tool_environment(), "PGSSLMODE=");
    if (!mode.empty() && mode != "prefer") {
        query += (query.empty() ? "?sslmode=" : "&sslmode=") + percent_encode(mode);
    }
    const bool ipv6 = host.find(':') != std::string::npos;
    return Secret("postgresql://" + percent_encode(role) + ":" +
                  percent_encode(password_of(role).reveal()) + "@" +
                  (ipv6 ? "[" + host + "]" : percent_encode(host)) + ":" + db.port() + "/" +
                  percent_encode(database) + query);
}

Result<MigrationStamp> PostgresServers::migration_of(const std::string& place,
                                                     const std::string& database,
                                                     const Context& ctx) const {
    TRY_ASSIGN(auto db, open(place, ctx));
    TRY_ASSIGN(const auto row, find_database(db, database, ctx));
    if (!row) {
        return fail(Code::not_found, "database " + printable(database) + " does not exist");
    }
    const auto mark = row->comment ? parse_mark(*row->comment) : std::nullopt;
    if (!mark || mark->instance != instance_) {
        return MigrationStamp{};
    }
    return MigrationStamp{mark->migrating, mark->migrated};
}

Status PostgresServers::mark_migrating(const std::string& place, const std::string& database,
                                       const std::string& hash, const Context& ctx) const {
    return mark(place, database, {hash, ""}, ctx);
}

Status PostgresServers::mark_migrated(const std::string& place, const std::string& database,
                                      const std::string& hash, const Context& ctx) const {
    return mark(place, database, {hash, hash}, ctx);
}

Status PostgresServers::mark(const std::string& place, const std::string& database,
                             const MigrationStamp& change, const Context& ctx) const {
    TRY(check_name(instance_, {"pg-database", place, database}));
    TRY_ASSIGN(auto db, open_locked(place, "pg-database", database, ctx));
    TRY_ASSIGN(const auto row, find_database(db, database, ctx));
    if (!row) {
        return fail(Code::not_found, "database " + database + " does not exist");
    }
    if (judge_database(row, instance_).presence == plan::Presence::foreign) {
        return fail(Code::conflict, "database " + database + " is not ours");
    }
    auto mark = row->comment ? parse_mark(*row->comment) : std::nullopt;
    if (!mark || mark->instance != instance_) {
        mark = Mark{instance_, "", "", ""};
    }
    mark->migrating = change.started;
    if (!change.done.empty()) {
        mark->migrated = change.done;
    }
    return db.execute("COMMENT ON DATABASE " + db.quote_identifier(database) + " IS " +
                          db.quote_literal(render_mark(*mark)),
                      ctx);
}

}    // namespace seatrial::resource
