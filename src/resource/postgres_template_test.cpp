#include "resource/postgres_template.h"

#include <thread>

#include "resource/postgres_fixture.h"

namespace seatrial::resource {
namespace {

using plan::Presence;
using testing::HasSubstr;
using testing::Not;

class PostgresTemplateTest : public PostgresAsAdmin {
protected:
    std::string hash_of(const std::string& database) {
        const auto hash = schema_hash(servers_, test::postgres_place, database, soon());
        EXPECT_TRUE(hash) << render_error(hash.error());
        return hash.value_or("");
    }
    std::string owner_of_source() {
        return server_.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '" +
                             source_ + "'");
    }
    // Opens the frozen template to look inside.
    std::string inside(std::string_view sql) {
        const std::string& name = template_ref().name;
        server_.execute("ALTER DATABASE \"" + name + "\" ALLOW_CONNECTIONS true");
        std::string found = server_.value(sql, name);
        server_.execute("ALTER DATABASE \"" + name + "\" ALLOW_CONNECTIONS false");
        return found;
    }
    std::string progress_;
    plan::Progress note_ = [this](std::string_view line) { progress_ += line; };
};

TEST_F(PostgresTemplateTest, IsFrozen) {
    create(template_ref());
    EXPECT_EQ(server_.value("SELECT datistemplate AND NOT datallowconn FROM pg_database WHERE"
                            " datname = '" +
                            template_ref().name + "'"),
              "t");
    EXPECT_FALSE(sql::Postgres::open({Secret(server_.conninfo()), template_ref().name}, soon()));
}

TEST_F(PostgresTemplateTest, IdleSourceIsClonedOnTheServer) {
    ASSERT_FALSE(hash_of(source_).empty());    // our own visit must not count as use
    ASSERT_TRUE(templates_.create(template_ref(), spec_of(template_ref()), note_, soon()));
    EXPECT_EQ(progress_, "");
    EXPECT_EQ(inside("SELECT count(*) FROM product"), "3");
}

TEST_F(PostgresTemplateTest, SourceInUseIsDumped) {
    sql::Postgres visitor = visit(source_);
    const std::string wanted = hash_of(source_);
    ASSERT_TRUE(templates_.create(template_ref(), spec_of(template_ref()), note_, soon()));
    EXPECT_THAT(progress_, HasSubstr("in use"));
    EXPECT_EQ(inside("SELECT count(*) FROM product"), "3");
    EXPECT_EQ(inside("SELECT count(*) FROM pg_largeobject_metadata"), "1");
    server_.execute("ALTER DATABASE \"" + template_ref().name + "\" ALLOW_CONNECTIONS true");
    EXPECT_EQ(hash_of(template_ref().name), wanted);
    // Whoever was there is still there.
    EXPECT_TRUE(visitor.query("SELECT 1", {}, soon()));
}

TEST_F(PostgresTemplateTest, ObjectsOutOfReachAreDumped) {
    server_.execute(
        "CREATE TABLE of_postgres (v int); GRANT SELECT ON of_postgres TO admin;"
        "INSERT INTO of_postgres VALUES (1)",
        source_);
    ASSERT_TRUE(templates_.create(template_ref(), spec_of(template_ref()), note_, soon()));
    EXPECT_THAT(progress_, HasSubstr("pg_dump"));
    EXPECT_EQ(inside("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname ="
                     " 'of_postgres'"),
              "admin");
}

TEST_F(PostgresTemplateTest, ADumpThatMayNotReadFailsAndLeavesNothingHalf) {
    server_.execute("CREATE TABLE secrets (v int)", source_);
    const Status made = templates_.create(template_ref(), spec_of(template_ref()), note_, soon());
    ASSERT_FALSE(made);
    EXPECT_THAT(render_error(made.error()), HasSubstr("permission denied for table secrets"));
    EXPECT_NE(presence(template_ref()), Presence::ready);
    server_.execute("DROP TABLE secrets", source_);
    create(template_ref());
}

TEST_F(PostgresTemplateTest, StoredPasswordsAreNotCopied) {
    server_.execute(
        "CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER"
        " postgres_fdw TO admin; SET ROLE admin; CREATE SERVER other FOREIGN DATA"
        " WRAPPER postgres_fdw; CREATE USER MAPPING FOR admin SERVER other OPTIONS"
        " (user 'u', password 'hunter2'); CREATE USER MAPPING FOR PUBLIC SERVER other"
        " OPTIONS (password 'hunter2')",
        source_);
    create(template_ref());
    EXPECT_EQ(inside("SELECT count(*) FROM pg_user_mappings"), "0");
    EXPECT_EQ(server_.value("SELECT count(*) FROM pg_user_mappings", source_), "2");
}

TEST_F(PostgresTemplateTest, MissingSourceIsTheUsersFault) {
    const Status made = templates_.create(template_ref(), {{"source", "nothing_here"}}, {}, soon());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::invalid);
    EXPECT_EQ(schema_hash(servers_, test::postgres_place, "nothing_here", soon()).error().code,
              Code::invalid);
    EXPECT_EQ(presence(template_ref()), Presence::absent);
}

TEST_F(PostgresTemplateTest, HostileSourceNamesAreOnlyNames) {
    for (const std::string name : {"host=evil dbname=x", "-rf", "a\"; DROP ROLE admin; --",
                                   "postgresql://evil/x", "$(reboot) '\\"}) {
        auto db = server_.connect();
        const std::string quoted = db.quote_identifier(name);
        ASSERT_TRUE(db.execute("CREATE DATABASE " + quoted + " OWNER admin", soon()));
        server_.execute("CREATE TABLE t AS SELECT 7 AS v; ALTER TABLE t OWNER TO admin", name);
        {
            sql::Postgres visitor = visit(name);    // the way over pg_dump
            const Status made = templates_.create(template_ref(), {{"source", name}}, {}, soon());
            ASSERT_TRUE(made) << render_error(made.error());
        }
        EXPECT_EQ(inside("SELECT v FROM t"), "7") << name;
        destroy(template_ref());
        const Status made = templates_.create(template_ref(), {{"source", name}}, {}, soon());
        ASSERT_TRUE(made) << render_error(made.error());
        destroy(template_ref());
        ASSERT_TRUE(db.execute("DROP DATABASE " + quoted + " WITH (FORCE)", soon()));
    }
}

TEST_F(PostgresTemplateTest, CancelledDumpEndsBothToolsAndIsMadeAnew) {
    server_.execute("INSERT INTO product (name) SELECT 'p' || g FROM generate_series(1, 200000) g",
                    source_);
    sql::Postgres visitor = visit(source_);
    CancelSource source;
    Status made;
    {
        std::jthread worker([&] {
            made = templates_.create(template_ref(), spec_of(template_ref()), {}, source.context());
        });
        wait_for_session("application_name = 'pg_dump' AND datname = '" + source_ + "'");
        source.cancel();
    }
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::cancelled);
    create(template_ref());
    EXPECT_EQ(inside("SELECT count(*) FROM product"), "200003");
}

TEST_F(PostgresTemplateTest, ManyMakeOneTemplate) {
    std::vector<Status> made(3);
    {
        std::vector<std::jthread> workers;
        for (Status& one : made) {
            workers.emplace_back([&] { one = try_create(template_ref()); });
        }
    }
    for (const Status& one : made) {
        EXPECT_TRUE(one) << render_error(one.error());
    }
    EXPECT_EQ(presence(template_ref()), Presence::ready);
}

TEST_F(PostgresTemplateTest, TheSourceStaysAsItIs) {
    const std::string hash = hash_of(source_);
    create_all();
    EXPECT_EQ(hash_of(source_), hash);
    EXPECT_EQ(owner_of_source(), "admin");
}

TEST_F(PostgresTemplateTest, SchemaHashSeesStructureOnly) {
    const std::string first = hash_of(source_);
    server_.execute("INSERT INTO product (name) VALUES ('milk'); ANALYZE", source_);
    EXPECT_EQ(hash_of(source_), first) << "rows are not structure";
    const std::string changes[] = {
        "ALTER TABLE product ADD COLUMN size int",
        "ALTER TABLE product ALTER COLUMN size SET DEFAULT 4",
        "ALTER TABLE product ADD CONSTRAINT positive CHECK (size > 0)",
        "CREATE INDEX by_size ON product (size)",
        "CREATE OR REPLACE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $1'",
        "ALTER TYPE shop.colour ADD VALUE 'blue'",
        "CREATE OR REPLACE VIEW shop.cheap AS SELECT * FROM product WHERE id < 11",
        "CREATE SCHEMA empty",
        "DROP TRIGGER noted ON product",
        "CREATE EXTENSION pg_trgm",
    };
    std::vector<std::string> seen = {first};
    for (const std::string& change : changes) {
        server_.execute(change, source_);
        const std::string next = hash_of(source_);
        EXPECT_THAT(seen, Not(testing::Contains(next))) << change;
        seen.push_back(next);
    }
}

TEST_F(PostgresTemplateTest, SchemaHashDoesNotDependOnTheOrderOfMaking) {
    server_.execute("CREATE DATABASE one");
    server_.execute("CREATE DATABASE two");
    const std::string a = "CREATE TABLE a (v int PRIMARY KEY, w text);";
    const std::string b = "CREATE FUNCTION b() RETURNS int LANGUAGE sql AS 'SELECT 1';";
    server_.execute(a + b, "one");
    server_.execute("CREATE TABLE gone (x int); DROP TABLE gone;" + b + a, "two");
    // The server's superuser made them: the admin may look all the same.
    EXPECT_EQ(hash_of("one"), hash_of("two"));
    server_.execute("DROP DATABASE one WITH (FORCE)");
    server_.execute("DROP DATABASE two WITH (FORCE)");
}

}    // namespace
}    // namespace seatrial::resource
