#include "release/snapshot_sql.h"

namespace seatrial::release {

// Transaction ids of rows have 32 bits and wrap; below 3 is "for ever". Rows of extensions are in
// no copy.
const std::string_view rows_sql = R"sql(
SET standard_conforming_strings = on;
SET row_security = off;
SET client_min_messages = warning;
SET search_path = pg_catalog;
SET lock_timeout = '10s';
CREATE FUNCTION pg_temp.seatrial_rows(low bigint, alone boolean)
RETURNS TABLE (name text, bare_name text, fresh bigint, older bigint) AS $seatrial$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                          AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1, 2
    LOOP
        IF alone THEN
            EXECUTE format('LOCK TABLE ONLY %I.%I', one.nspname, one.relname);
        END IF;
        EXECUTE format('SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new)
            FROM (SELECT xmin::text::bigint >= 3 AND (xmin::text::bigint - $1 %% 4294967296
                         + 4294967296) %% 4294967296 < 2147483648 AS is_new
                  FROM ONLY %I.%I) rows', one.nspname, one.relname)
            INTO fresh, older USING low;
        name := one.nspname || '.' || one.relname;
        bare_name := one.relname;
        RETURN NEXT;
    END LOOP;
END $seatrial$ LANGUAGE plpgsql;
)sql";

const std::string_view counting_select = R"sql(
WITH begun AS MATERIALIZED (SELECT txid_snapshot_xmin(txid_current_snapshot()) AS low)
SELECT jsonb_build_object('low', low, 'tables', coalesce(
    (SELECT jsonb_object_agg(name, older) FROM pg_temp.seatrial_rows(low, false)), '{}'))
FROM begun;
)sql";

const std::string_view refuse_losses_sql = R"sql(
DO $seatrial$
DECLARE
    known jsonb := current_setting('seatrial.known');
    tools jsonb := current_setting('seatrial.tools');
    ignored jsonb := current_setting('seatrial.ignored');
    losses jsonb;
BEGIN
    -- A table that came since is the migration's own: no release that serves writes there. Of one
    -- that is gone, nothing can be told.
    SELECT jsonb_agg(jsonb_build_object('table', key, 'written', coalesce(fresh, -1),
                                        'gone', coalesce(value::bigint - older, -1)))
    INTO losses
    FROM jsonb_each_text(known -> 'tables')
    LEFT JOIN pg_temp.seatrial_rows((known ->> 'low')::bigint, true) ON name = key
    WHERE NOT ignored ? key AND NOT tools ? coalesce(bare_name, '')
      AND (fresh IS NULL OR fresh > 0 OR older < value::bigint);
    IF losses IS NOT NULL AND current_setting('seatrial.discard') = 'yes' THEN
        RAISE WARNING 'seatrial: written since %', losses;
    ELSIF losses IS NOT NULL THEN
        RAISE EXCEPTION 'seatrial: written since %', losses;
    END IF;
END $seatrial$;
)sql";

const std::string_view drop_all_sql = R"sql(
DO $seatrial$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT 0 AS turn, 'SCHEMA' AS kind, quote_ident(nspname) AS name,
               'pg_namespace'::regclass AS class, oid
        FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
          AND nspowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
        UNION ALL
        SELECT CASE c.relkind WHEN 'S' THEN 2 ELSE 1 END,
               CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                   WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
               format('%I.%I', n.nspname, c.relname), 'pg_class'::regclass, c.oid
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        UNION ALL
        SELECT 3, 'ROUTINE', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        UNION ALL
        SELECT 4, CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END,
               format('%I.%I', n.nspname, t.typname), 'pg_type'::regclass, t.oid
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
        ORDER BY turn
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_depend d WHERE d.classid = one.class
                              AND d.objid = one.oid AND d.deptype = 'e');
        EXECUTE format('DROP %s IF EXISTS %s CASCADE', one.kind, one.name);
    END LOOP;
END $seatrial$;
)sql";

}    // namespace seatrial::release
