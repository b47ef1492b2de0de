#include "resource/postgres_owner.h"

#include "base/text.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t batch = 200;    // statements per round trip; locks are held until its end

// Every object with an owner that an app's migration may want to alter. What only superusers may
// own (languages, foreign data wrappers, event triggers) and what leads to other servers stays, and
// what goes with another object (members of extensions, a range type's functions, an identity
// column's sequence).
constexpr std::string_view owned_objects = R"sql(
WITH schemas AS (
  SELECT oid, nspowner FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), objects AS (
  SELECT 'pg_namespace'::regclass::oid AS class, oid AS object, nspowner AS owner FROM schemas
  UNION ALL
  SELECT 'pg_class'::regclass, c.oid, c.relowner FROM pg_class c
  JOIN schemas s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND c.relkind = 'S')
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, t.typowner FROM pg_type t
  JOIN schemas s ON s.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE (t.typtype IN ('b', 'd', 'e', 'r') OR c.relkind = 'c')
  AND NOT EXISTS (SELECT 1 FROM pg_type e WHERE e.typarray = t.oid)
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid, p.proowner FROM pg_proc p
  JOIN schemas s ON s.oid = p.pronamespace
  UNION ALL
  SELECT 'pg_operator'::regclass, o.oid, o.oprowner FROM pg_operator o
  JOIN schemas s ON s.oid = o.oprnamespace
  UNION ALL
  SELECT 'pg_opclass'::regclass, o.oid, o.opcowner FROM pg_opclass o
  JOIN schemas s ON s.oid = o.opcnamespace
  UNION ALL
  SELECT 'pg_opfamily'::regclass, o.oid, o.opfowner FROM pg_opfamily o
  JOIN schemas s ON s.oid = o.opfnamespace
  UNION ALL
  SELECT 'pg_collation'::regclass, o.oid, o.collowner FROM pg_collation o
  JOIN schemas s ON s.oid = o.collnamespace
  UNION ALL
  SELECT 'pg_conversion'::regclass, o.oid, o.conowner FROM pg_conversion o
  JOIN schemas s ON s.oid = o.connamespace
  UNION ALL
  SELECT 'pg_ts_config'::regclass, o.oid, o.cfgowner FROM pg_ts_config o
  JOIN schemas s ON s.oid = o.cfgnamespace
  UNION ALL
  SELECT 'pg_ts_dict'::regclass, o.oid, o.dictowner FROM pg_ts_dict o
  JOIN schemas s ON s.oid = o.dictnamespace
  UNION ALL
  SELECT 'pg_statistic_ext'::regclass, o.oid, o.stxowner FROM pg_statistic_ext o
  JOIN schemas s ON s.oid = o.stxnamespace
  UNION ALL
  SELECT 'pg_largeobject'::regclass, oid, lomowner FROM pg_largeobject_metadata
), own AS (
  SELECT o.class, o.object, o.owner, i.type, i.identity
  FROM objects o, pg_identify_object(o.class, o.object, 0) i
  WHERE NOT EXISTS (
    SELECT 1 FROM pg_depend d
    WHERE d.classid = o.class AND d.objid = o.object AND d.objsubid = 0
    AND d.deptype IN ('e', 'i'))
)
)sql";

// A schema of the database's owner (15 and newer) is the role's already; one in which the role
// may create needs no change that we might not be allowed to make.
constexpr std::string_view needs_change = R"sql(
 WHERE owner <> $1::regrole
 AND NOT (class = 'pg_namespace'::regclass AND owner = 'pg_database_owner'::regrole)
)sql";

}    // namespace

Status give_objects_to(sql::Postgres& db, const std::string& role, const Context& ctx) {
    const std::string quoted = db.quote_identifier(role);
    TRY_ASSIGN(
        const auto rows,
        db.query(std::string(owned_objects) +
                     "SELECT 'ALTER ' || CASE type WHEN 'statistics object' THEN 'STATISTICS'"
                     " WHEN 'function' THEN 'ROUTINE' WHEN 'procedure' THEN 'ROUTINE'"
                     " WHEN 'aggregate' THEN 'ROUTINE' WHEN 'composite type' THEN 'TYPE'"
                     " ELSE upper(type) END || ' ' || identity || ' OWNER TO '"
                     " FROM own" +
                     std::string(needs_change) +
                     " AND (class <> 'pg_namespace'::regclass"
                     "   OR pg_has_role(owner, 'USAGE')"
                     "   OR NOT has_schema_privilege($1::regrole, object, 'CREATE'))"
                     " ORDER BY class <> 'pg_namespace'::regclass, class, object",
                 {quoted}, ctx));
    std::string statements;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        statements += rows[i][0].value_or("") + quoted + ";";
        if ((i + 1) % batch == 0 || i + 1 == rows.size()) {
            const Status given = db.execute(statements, ctx);
            if (!given) {
                return wrap(given.error(), "give the copied objects to " + role);
            }
            statements.clear();
        }
    }
    return {};
}

Result<std::string> objects_out_of_reach(sql::Postgres& db, const Context& ctx) {
    TRY_ASSIGN(const auto rows,
               db.query(std::string(owned_objects) +
                            "SELECT type || ' ' || identity, pg_get_userbyid(owner) FROM own"
                            " WHERE NOT pg_has_role(owner, 'USAGE')"
                            " AND class <> 'pg_namespace'::regclass ORDER BY 1 LIMIT 3",
                        {}, ctx));
    std::vector<std::string> parts;
    for (const sql::PgRow& row : rows) {
        parts.push_back(printable(row[0].value_or("")) + " belongs to " +
                        printable(row[1].value_or("")));
    }
    return join(parts, ", ");
}

Status drop_stored_passwords(sql::Postgres& db, const Context& ctx) {
    TRY_ASSIGN(const auto rows,
               db.query("SELECT format('DROP USER MAPPING FOR %s SERVER %I',"
                        " CASE WHEN umuser = 0 THEN 'PUBLIC' ELSE quote_ident(usename) END,"
                        " srvname) FROM pg_user_mappings",
                        {}, ctx));
    for (const sql::PgRow& row : rows) {
        TRY(db.execute(row[0].value_or(""), ctx));
    }
    return {};
}

Status copy_settings(const PostgresServers& servers, const std::string& place, sql::Postgres& db,
                     const std::string& from, const std::string& to, const Context& ctx) {
    TRY_ASSIGN(const auto rows,
               db.query("SELECT split_part(line, '=', 1), substr(line, strpos(line, '=') + 1)"
                        " FROM pg_db_role_setting s, unnest(s.setconfig) AS line"
                        " WHERE s.setrole = 0 AND s.setdatabase ="
                        " (SELECT oid FROM pg_database WHERE datname = $1)",
                        {from}, ctx));
    if (rows.empty()) {
        return {};
    }
    // The value is set in a session of its own and taken from there: lists need no quoting of ours.
    TRY_ASSIGN(auto session, servers.open_apart(place, ctx));
    for (const sql::PgRow& row : rows) {
        const auto set = session.query("SELECT set_config($1, $2, false)", {row[0], row[1]}, ctx);
        Status copied = set ? Status() : Status(tl::unexpected(set.error()));
        if (copied) {
            copied = session.execute("ALTER DATABASE " + db.quote_identifier(to) + " SET " +
                                         db.quote_identifier(row[0].value_or("")) + " FROM CURRENT",
                                     ctx);
        }
        if (!copied && copied.error().code != Code::refused) {
            return wrap(copied.error(), "copy the setting " + printable(row[0].value_or("")));
        }
    }
    return {};
}

}    // namespace seatrial::resource
