#include "base/text.h"
#include "crypto/crypto.h"
#include "resource/postgres_template.h"

namespace seatrial::resource {
namespace {

// One line per fact, each starting with what it is about. With an empty search_path every name is
// written in full, so that equal schemas give equal lines. Members of extensions are left out:
// the extension's version stands for them.
constexpr std::string_view facts = R"sql(
WITH schemas AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), part_of_extension AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
  SELECT c.*, s.nspname FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
  WHERE (('pg_class'::regclass)::oid, c.oid) NOT IN (SELECT classid, objid FROM part_of_extension)
), lines AS (
  SELECT format('schema %I', nspname) AS line FROM schemas
  UNION ALL
  SELECT format('relation %s.%s %s %s %s %s', nspname, relname, relkind, relpersistence,
                relrowsecurity, pg_get_expr(relpartbound, oid))
  FROM relations WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
  UNION ALL
  SELECT format('column %s.%s %s %s %s %s %s %s %s', r.nspname, r.relname, a.attname,
                format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))
  FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind IN ('r', 'p', 'f', 'c')
  UNION ALL
  SELECT format('view %s.%s %s', nspname, relname, pg_get_viewdef(oid))
  FROM relations WHERE relkind IN ('v', 'm')
  UNION ALL
  SELECT format('index %s', pg_get_indexdef(oid)) FROM relations WHERE relkind IN ('i', 'I')
  UNION ALL
  SELECT format('constraint %s.%s %s %s', s.nspname, c.conname, c.conrelid::regclass,
                pg_get_constraintdef(c.oid))
  FROM pg_constraint c JOIN schemas s ON s.oid = c.connamespace
  UNION ALL
  SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM pg_trigger t
  JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT format('policy %s.%s %s %s %s %s', r.nspname, r.relname, p.polname, p.polcmd,
                pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
  UNION ALL
  SELECT format('type %s.%s %s %s', s.nspname, t.typname, t.typtype,
                (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                 FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
  WHERE t.typtype IN ('b', 'd', 'e', 'r')
  AND (('pg_type'::regclass)::oid, t.oid) NOT IN (SELECT classid, objid FROM part_of_extension)
  UNION ALL
  SELECT format('routine %s.%s(%s) %s %s %s', s.nspname, p.proname,
                pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid),
                p.prokind, md5(p.prosrc || coalesce(pg_get_expr(p.proargdefaults, 0), '')))
  FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
  WHERE (('pg_proc'::regclass)::oid, p.oid) NOT IN (SELECT classid, objid FROM part_of_extension)
  UNION ALL
  SELECT format('extension %s %s', extname, extversion) FROM pg_extension
)
SELECT line FROM lines ORDER BY line COLLATE "C"
)sql";

}    // namespace

Result<std::string> schema_hash(const PostgresServers& servers, const std::string& place,
                                const std::string& source, const Context& ctx) {
    auto db = servers.open(place, ctx, source);
    if (!db && db.error().code == Code::not_found) {
        return fail(Code::invalid,
                    "the template's source database " + printable(source) +
                        " does not exist on this server",
                    "create it, or mend `database.template` in seatrial.yaml");
    }
    if (!db) {
        return tl::unexpected(std::move(db).error());
    }
    TRY(db->execute("SET search_path = ''", ctx));
    TRY_ASSIGN(const auto rows, db->query(facts, {}, ctx));
    crypto::Sha256 digest;
    for (const sql::PgRow& row : rows) {
        digest.update_field(row[0].value_or(""));
    }
    return digest.finish_hex();
}

}    // namespace seatrial::resource
