#include "support/postgres_world.h"

#include "base/result.h"

namespace seatrial::test {

resource::PostgresServers make_servers(const std::string& conninfo, const std::string& instance) {
    return {{{postgres_place, {Secret(conninfo), ""}}}, instance, Secret("a key for tests only")};
}

void make_admin(const PrivatePostgres& server) {
    if (server.value("SELECT 1 FROM pg_roles WHERE rolname = 'admin'").empty()) {
        server.execute("CREATE ROLE admin LOGIN CREATEDB CREATEROLE");
    }
}

void make_source(const PrivatePostgres& server, const std::string& name, const std::string& owner) {
    server.execute("CREATE DATABASE " + name + " OWNER " + owner);
    server.execute(R"sql(
CREATE SCHEMA shop;
CREATE TYPE shop.colour AS ENUM ('red', 'green');
CREATE TYPE shop.pair AS (a int, b text);
CREATE DOMAIN shop.price AS numeric CHECK (VALUE >= 0);
CREATE TYPE shop.span AS RANGE (subtype = numeric);
CREATE TABLE product (id serial PRIMARY KEY, name text NOT NULL UNIQUE, "Odd ""Name" int);
INSERT INTO product (name) VALUES ('tea'), ('coffee'), ('o''range');
CREATE TABLE shop.sale (id int GENERATED ALWAYS AS IDENTITY, at date NOT NULL,
                        price shop.price, colour shop.colour) PARTITION BY RANGE (at);
CREATE TABLE shop.sale_2026 PARTITION OF shop.sale FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE SEQUENCE shop.free_standing;
CREATE VIEW shop.cheap AS SELECT * FROM product WHERE id < 10;
CREATE MATERIALIZED VIEW shop.counted AS SELECT count(*) FROM product;
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE PROCEDURE shop.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE shop.total(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE AGGREGATE shop.rows(*) (sfunc = int8inc, stype = bigint, initcond = '0');
CREATE OPERATOR shop.=== (leftarg = int, rightarg = int, function = int4eq);
CREATE COLLATION shop.plain (locale = 'C');
CREATE STATISTICS shop.stats ON id, name FROM product;
CREATE TEXT SEARCH CONFIGURATION shop.search (copy = pg_catalog.simple);
CREATE TRIGGER noted BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION shop.note();
SELECT lo_create(0);
)sql",
                   name, owner);
}

std::string postgres_census(const std::string& conninfo) {
    const Context ctx = Context().with_timeout(std::chrono::seconds(20));
    auto db = sql::Postgres::open({Secret(conninfo), "postgres"}, ctx);
    if (!db) {
        return render_error(db.error());
    }
    // A closed connection lives on in the server for a moment, with its locks.
    while (true) {
        const auto held = db->query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'", {}, ctx);
        if (!held || held->empty() || !wait_for(std::chrono::milliseconds(2), ctx)) {
            break;
        }
    }
    const Context last = Context().with_timeout(std::chrono::seconds(20));
    const auto rows = db->query(
        "SELECT 'database ' || datname || ' of ' || pg_get_userbyid(datdba) || ' ' ||"
        " coalesce(shobj_description(oid, 'pg_database'), '-') || ' ' || datallowconn || ' ' ||"
        " datconnlimit FROM pg_database"
        " UNION ALL SELECT 'role ' || rolname || ' ' || rolcanlogin || ' ' ||"
        " coalesce(shobj_description(oid, 'pg_authid'), '-') FROM pg_roles"
        " UNION ALL SELECT 'member ' || roleid::regrole || ' ' || member::regrole"
        " FROM pg_auth_members"
        " UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory'"
        " ORDER BY 1",
        {}, last);
    std::string out;
    for (const auto& row : rows.value_or(std::vector<sql::PgRow>{{"error"}})) {
        out += row[0].value_or("") + "\n";
    }
    return out;
}

}    // namespace seatrial::test
