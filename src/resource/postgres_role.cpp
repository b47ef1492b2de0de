#include "resource/postgres_role.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "resource/postgres_mark.h"

namespace seatrial::resource {
namespace {

constexpr std::string_view dependent_objects = "2BP01";

Result<plan::Observation> look(sql::Postgres& db, const std::string& instance,
                               const std::string& role, const Context& ctx) {
    TRY_ASSIGN(const auto rows,
               db.query("SELECT shobj_description(oid, 'pg_authid'), rolcanlogin FROM pg_roles"
                        " WHERE rolname = $1",
                        {role}, ctx));
    plan::Observation seen;
    if (rows.empty()) {
        return seen;
    }
    const auto mark = rows[0][0] ? parse_mark(*rows[0][0]) : std::nullopt;
    if (!mark || mark->instance != instance) {
        seen.presence = plan::Presence::foreign;
        seen.detail = "a role of this name that is not ours";
        return seen;
    }
    // Its removal begins with closing the door.
    const bool open = rows[0][1] == "t";
    seen.presence = open ? plan::Presence::ready : plan::Presence::partial;
    seen.spec_hash = open ? mark->spec : "";
    return seen;
}

// A role goes after its databases: before that nothing of it is touched.
Status check_owns_no_database(sql::Postgres& db, const std::string& role, const Context& ctx) {
    TRY_ASSIGN(const auto rows, db.query("SELECT datname FROM pg_database WHERE datdba ="
                                         " (SELECT oid FROM pg_roles WHERE rolname = $1)",
                                         {role}, ctx));
    if (!rows.empty()) {
        return fail(Code::unavailable,
                    "role " + role + " still owns database " + rows[0][0].value_or(""));
    }
    return {};
}

// Grants and objects of the role in other people's databases (one with an open schema, say) keep
// it from being dropped.
Status drop_what_it_left(const PostgresServers& servers, sql::Postgres& db, const plan::Ref& ref,
                         const Context& ctx) {
    TRY_ASSIGN(const auto databases,
               db.query("SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d"
                        " ON d.oid = s.dbid WHERE s.refclassid = 'pg_authid'::regclass"
                        " AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)",
                        {ref.name}, ctx));
    for (const sql::PgRow& row : databases) {
        TRY_ASSIGN(auto other, servers.open(ref.place, ctx, row[0].value_or("")));
        TRY(other.execute("DROP OWNED BY " + other.quote_identifier(ref.name), ctx));
    }
    return {};
}

}    // namespace

plan::Traits PostgresRole::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::keep;
    traits.rank = 10;    // after the database it owns
    traits.lane = "database";
    traits.title = "database role";
    return traits;
}

Result<std::vector<std::string>> PostgresRole::list(const std::string& place, const Context& ctx) {
    TRY_ASSIGN(auto db, servers_.open(place, ctx));
    TRY_ASSIGN(const auto rows, db.query("SELECT rolname FROM pg_roles"
                                         " WHERE starts_with(rolname, $1) ORDER BY 1",
                                         {name_mark(servers_.instance())}, ctx));
    std::vector<std::string> names;
    for (const sql::PgRow& row : rows) {
        names.push_back(row[0].value_or(""));
    }
    return names;
}

Result<plan::Observation> PostgresRole::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    return look(db, servers_.instance(), ref.name, ctx);
}

Status PostgresRole::create(const plan::Ref& ref, const nlohmann::json& spec,
                            const plan::Progress& /*progress*/, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    TRY_ASSIGN(const auto seen, look(db, servers_.instance(), ref.name, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return fail(Code::conflict, "role " + ref.name + " exists and is not ours");
    }
    if (seen.presence == plan::Presence::ready) {
        return {};
    }
    TRY_ASSIGN(const std::string verifier,
               db.scram_verifier(ref.name, servers_.password_of(ref.name)));
    const std::string role = db.quote_identifier(ref.name);
    const Mark mark{servers_.instance(), plan::spec_hash(spec), "", ""};
    if (seen.presence == plan::Presence::partial) {
        return db.execute("ALTER ROLE " + role + " LOGIN PASSWORD " + db.quote_literal(verifier),
                          ctx);
    }
    TRY(failpoint("pg-role.create", "before"));
    // Several statements sent as one are one transaction. INHERIT: through pg_database_owner
    // the owner of a database may use its schema public (15 and newer).
    TRY(db.execute("CREATE ROLE " + role +
                       " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
                       " INHERIT CONNECTION LIMIT 50 PASSWORD " +
                       db.quote_literal(verifier) + "; GRANT " + role +
                       " TO CURRENT_USER; COMMENT ON ROLE " + role + " IS " +
                       db.quote_literal(render_mark(mark)),
                   ctx));
    return failpoint("pg-role.create", "after");
}

Result<plan::Removal> PostgresRole::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY(check_name(servers_.instance(), ref));
    TRY_ASSIGN(auto db, servers_.open_locked(ref.place, name(), ref.name, ctx));
    TRY_ASSIGN(const auto seen, look(db, servers_.instance(), ref.name, ctx));
    plan::Removal removal;
    if (seen.presence == plan::Presence::absent) {
        removal.note = "was not there";
        return removal;
    }
    if (seen.presence == plan::Presence::foreign) {
        return fail(Code::conflict, "role " + ref.name + " is not ours: left alone");
    }
    TRY(check_owns_no_database(db, ref.name, ctx));
    const std::string role = db.quote_identifier(ref.name);
    TRY(failpoint("pg-role.destroy", "before"));
    TRY(db.execute("ALTER ROLE " + role + " NOLOGIN", ctx));
    TRY(db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
                 {ref.name}, ctx));
    TRY(failpoint("pg-role.destroy", "closed"));
    Status dropped = db.execute("DROP ROLE IF EXISTS " + role, ctx);
    if (!dropped && sql::sqlstate_of(dropped.error()) == dependent_objects) {
        TRY(drop_what_it_left(servers_, db, ref, ctx));
        dropped = db.execute("DROP ROLE IF EXISTS " + role, ctx);
    }
    if (!dropped) {
        Error error = dropped.error();
        // Something that came meanwhile: tried again later.
        error.code = error.code == Code::conflict ? Code::unavailable : error.code;
        return wrap(std::move(error), "drop role " + ref.name);
    }
    TRY(failpoint("pg-role.destroy", "after"));
    removal.note = "dropped";
    return removal;
}

}    // namespace seatrial::resource
