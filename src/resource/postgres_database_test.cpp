#include "resource/postgres_database.h"

#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "resource/postgres_fixture.h"
#include "resource/postgres_mark.h"

namespace seatrial::resource {
namespace {

using plan::Presence;
using testing::HasSubstr;
using testing::Not;

// Everything an app's migrations do to what was copied.
constexpr const char* migration = R"sql(
ALTER TABLE product ADD COLUMN price int DEFAULT 1;
INSERT INTO product (name) VALUES ('juice');
CREATE TABLE extra (id serial PRIMARY KEY);
DROP VIEW shop.cheap;
ALTER TABLE shop.sale ADD COLUMN note text;
ALTER TYPE shop.colour ADD VALUE 'blue';
ALTER DOMAIN shop.price DROP CONSTRAINT price_check;
CREATE OR REPLACE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';
DROP AGGREGATE shop.rows(*);
DROP OPERATOR shop.=== (int, int);
REFRESH MATERIALIZED VIEW shop.counted;
SELECT nextval('shop.free_standing');
DROP STATISTICS shop.stats;
DROP TEXT SEARCH CONFIGURATION shop.search;
CREATE SCHEMA more;
DROP SCHEMA shop CASCADE;
)sql";

class PostgresDatabaseTest : public PostgresAsAdmin {
protected:
    std::string quoted(const plan::Ref& ref) const { return "\"" + ref.name + "\""; }
    // Keeps every clone of the template waiting (the server gives up after five seconds).
    sql::Postgres block_template() {
        server_.execute("ALTER DATABASE " + quoted(template_ref()) + " ALLOW_CONNECTIONS true");
        return visit(template_ref().name);
    }
    static constexpr const char* cloning = "state = 'active' AND query LIKE 'CREATE DATABASE%'";
};

void expect_migrates(Result<sql::Postgres> app) {
    ASSERT_TRUE(app) << render_error(app.error());
    const Context ctx = Context().with_timeout(std::chrono::seconds(30));
    const Status migrated = app->execute(migration, ctx);
    EXPECT_TRUE(migrated) << render_error(migrated.error());
    const auto rows = app->query("SELECT count(*) FROM product", {}, ctx);
    ASSERT_TRUE(rows);
    EXPECT_EQ((*rows)[0][0], "4");
}

TEST_F(PostgresDatabaseTest, TheAppMayChangeWhatWasCopied) {
    create_all();
    expect_migrates(connect_as_app());
}

TEST_F(PostgresDatabaseTest, TheSameAfterADump) {
    sql::Postgres visitor = visit(source_);
    create_all();
    expect_migrates(connect_as_app());
}

class PostgresSuperuserTest : public PostgresAsSuperuser {};

TEST_F(PostgresSuperuserTest, TheAppsOwnSettingsComeAlongToo) {
    server_.execute("ALTER DATABASE " + source_ + " SET app.mode = 'a''b=c'");
    create_all();
    auto app = connect_as_app();
    ASSERT_TRUE(app) << render_error(app.error());
    const auto rows = app->query("SELECT current_setting('app.mode')", {}, soon());
    ASSERT_TRUE(rows) << render_error(rows.error());
    EXPECT_EQ((*rows)[0][0], "a'b=c");
}

TEST_F(PostgresSuperuserTest, TheAppMayChangeWhatTheFirstSuperuserMade) {
    server_.execute("CREATE ROLE developer; ALTER TABLE shop.sale OWNER TO developer", source_);
    create_all();
    expect_migrates(connect_as_app());
    // Not REASSIGN OWNED: that would have handed on the databases of the old owner too.
    EXPECT_EQ(server_.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '" +
                            source_ + "'"),
              "postgres");
    destroy(database_ref());
    destroy(template_ref());
    server_.execute("DROP OWNED BY developer CASCADE; DROP ROLE developer", source_);
}

TEST_F(PostgresDatabaseTest, EmptyWithoutATemplate) {
    create(role_ref());
    const nlohmann::json spec = {{"template", ""}, {"owner", role_ref().name}};
    ASSERT_TRUE(databases_.create(database_ref(), spec, {}, soon()));
    auto app = connect_as_app();
    ASSERT_TRUE(app) << render_error(app.error());
    EXPECT_TRUE(app->execute("CREATE TABLE t (v int)", soon()));
    EXPECT_EQ(databases_.observe(database_ref(), soon())->spec_hash, plan::spec_hash(spec));
}

TEST_F(PostgresDatabaseTest, SettingsOfTheSourceComeAlong) {
    server_.execute("ALTER DATABASE " + source_ + " SET search_path = shop, \"odd, name\", public");
    server_.execute("ALTER DATABASE " + source_ + " SET timezone = 'Europe/Vienna'");
    server_.execute("ALTER DATABASE " + source_ + " SET log_statement = 'none'");    // superuser's
    create_all();
    auto app = connect_as_app();
    ASSERT_TRUE(app) << render_error(app.error());
    const auto rows = app->query(
        "SELECT current_setting('search_path'),"
        " current_setting('timezone')",
        {}, soon());
    ASSERT_TRUE(rows) << render_error(rows.error());
    EXPECT_EQ((*rows)[0], (sql::PgRow{"shop, \"odd, name\", public", "Europe/Vienna"}));
}

TEST_F(PostgresDatabaseTest, NobodyElseComesIn) {
    create_all();
    server_.execute("CREATE ROLE neighbour LOGIN");
    const auto in =
        sql::Postgres::open({Secret(server_.conninfo("neighbour")), database_ref().name}, soon());
    EXPECT_FALSE(in);
    server_.execute("DROP ROLE neighbour");
}

TEST_F(PostgresDatabaseTest, TheAppCannotLeaveItsDatabase) {
    create_all();
    auto app = connect_as_app();
    ASSERT_TRUE(app);
    for (const std::string statement :
         {"CREATE DATABASE mine", "CREATE ROLE mine", "SET ROLE admin", "SET ROLE postgres",
          "ALTER ROLE CURRENT_USER SUPERUSER", "COPY product TO PROGRAM 'true'"}) {
        EXPECT_FALSE(app->execute(statement, soon())) << statement;
    }
}

TEST_F(PostgresDatabaseTest, NeedsTemplateAndRole) {
    EXPECT_EQ(try_create(database_ref()).error().code, Code::unavailable);
    create(template_ref());
    EXPECT_EQ(try_create(database_ref()).error().code, Code::unavailable);
    create(role_ref());
    create(database_ref());
    const nlohmann::json stranger = {{"template", template_ref().name}, {"owner", "postgres"}};
    EXPECT_EQ(
        databases_
            .create({"pg-database", test::postgres_place, name_for("x")}, stranger, {}, soon())
            .error()
            .code,
        Code::invalid);
}

TEST_F(PostgresDatabaseTest, InterruptedDropIsPartialAndEndsWell) {
    create_all();
    const auto interrupt = [&] {
        server_.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '" +
                        database_ref().name + "'");
    };
    interrupt();
    EXPECT_EQ(presence(database_ref()), Presence::partial);
    create(database_ref());
    EXPECT_EQ(presence(database_ref()), Presence::ready);
    EXPECT_TRUE(connect_as_app());
    interrupt();
    destroy(database_ref());
    EXPECT_EQ(presence(database_ref()), Presence::absent);
}

TEST_F(PostgresDatabaseTest, DropsWhileTheAppIsConnected) {
    create_all();
    auto app = connect_as_app();
    ASSERT_TRUE(app);
    destroy(database_ref());
    EXPECT_EQ(presence(database_ref()), Presence::absent);
    EXPECT_FALSE(app->query("SELECT 1", {}, soon()));
}

TEST_F(PostgresDatabaseTest, AKilledClientLeavesNothingBehind) {
    create(template_ref());
    create(role_ref());
    {
        sql::Postgres blocker = block_template();
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            [[maybe_unused]] const Status made = try_create(database_ref());
            ::_exit(0);
        }
        wait_for_session(cloning);
        ::kill(child, SIGKILL);
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
        // The server goes on for its client for a moment: observe waits for the end of it, so
        // that what it says stays true.
        EXPECT_EQ(presence(database_ref()), Presence::absent);
        EXPECT_EQ(server_.value("SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                                "query LIKE 'CREATE DATABASE%'"),
                  "");
    }
    server_.execute("ALTER DATABASE " + quoted(template_ref()) + " ALLOW_CONNECTIONS false");
    create(database_ref());
}

TEST_F(PostgresDatabaseTest, ObserveWaitsForWhoeverIsAtIt) {
    create(role_ref());
    auto other =
        servers_.open_locked(test::postgres_place, "pg-database", database_ref().name, soon());
    ASSERT_TRUE(other);
    plan::Presence seen = Presence::foreign;
    {
        std::jthread worker([&] { seen = presence(database_ref()); });
        wait_for_session("wait_event = 'advisory'");
        ASSERT_TRUE(other->execute(
            "CREATE DATABASE " + quoted(database_ref()) + " OWNER " + quoted(role_ref()), soon()));
        other = tl::unexpected(Error{});    // closes it
    }
    EXPECT_EQ(seen, Presence::partial);
}

TEST_F(PostgresDatabaseTest, CancelledCloneEndsOnTheServerToo) {
    create(template_ref());
    create(role_ref());
    {
        sql::Postgres blocker = block_template();
        CancelSource source;
        Status made;
        {
            std::jthread worker([&] {
                made = databases_.create(database_ref(), spec_of(database_ref()), {},
                                         source.context());
            });
            wait_for_session(cloning);
            source.cancel();
        }
        EXPECT_EQ(made.error().code, Code::cancelled);
        EXPECT_EQ(presence(database_ref()), Presence::absent);
    }
    server_.execute("ALTER DATABASE " + quoted(template_ref()) + " ALLOW_CONNECTIONS false");
}

TEST_F(PostgresDatabaseTest, UsedTemplateIsTriedAgainLater) {
    create(template_ref());
    create(role_ref());
    {
        sql::Postgres blocker = block_template();
        const Status made = try_create(database_ref());
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, Code::unavailable);
        EXPECT_EQ(sql::sqlstate_of(made.error()), "55006");
    }
    create(database_ref());
}

TEST_F(PostgresDatabaseTest, ManyClonesOfOneTemplateAtOnce) {
    create(template_ref());
    create(role_ref());
    std::vector<plan::Ref> refs;
    for (const std::string name : {"one", "two", "three"}) {
        refs.push_back({"pg-database", test::postgres_place, name_for(name)});
        refs.push_back(refs.back());    // and each by two at once
    }
    std::vector<Status> made(refs.size());
    {
        std::vector<std::jthread> workers;
        for (std::size_t i = 0; i < refs.size(); ++i) {
            workers.emplace_back([&, i] {
                made[i] = databases_.create(refs[i], spec_of(database_ref()), {}, soon());
            });
        }
    }
    for (std::size_t i = 0; i < refs.size(); ++i) {
        EXPECT_TRUE(made[i]) << render_error(made[i].error());
        EXPECT_EQ(presence(refs[i]), Presence::ready);
    }
    for (const auto& ref : refs) {
        destroy(ref);
    }
}

TEST_F(PostgresDatabaseTest, AnAppThatWritesTheCommentIsStillOurs) {
    create_all();
    for (const std::string comment : {"'my database'", "'{\"seatrial\": \"other1\"}'", "'{'"}) {
        auto app = connect_as_app();
        ASSERT_TRUE(app);
        ASSERT_TRUE(app->execute("COMMENT ON DATABASE " + quoted(database_ref()) + " IS " + comment,
                                 soon()));
        EXPECT_EQ(presence(database_ref()), Presence::ready) << comment;
    }
    ASSERT_TRUE(servers_.mark_migrated(test::postgres_place, database_ref().name, "h1", soon()));
    EXPECT_EQ(servers_.migration_of(test::postgres_place, database_ref().name, soon())->done, "h1");
    destroy(database_ref());
    EXPECT_EQ(presence(database_ref()), Presence::absent);
}

TEST_F(PostgresDatabaseTest, ListKeepsTypesApart) {
    create_all();
    const auto databases = databases_.list(test::postgres_place, soon());
    const auto templates = templates_.list(test::postgres_place, soon());
    ASSERT_TRUE(databases && templates);
    EXPECT_EQ(*databases, std::vector<std::string>{database_ref().name});
    EXPECT_EQ(*templates, std::vector<std::string>{template_ref().name});
}

TEST_F(PostgresDatabaseTest, TooManyConnectionsIsTriedAgain) {
    create(template_ref());
    create(role_ref());
    server_.execute("ALTER ROLE admin CONNECTION LIMIT 1");
    {
        const sql::Postgres only = server_.connect("postgres", "admin");
        const Status made = try_create(database_ref());
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, Code::unavailable);
    }
    // One is too few: a clone needs one outside and one inside. Nothing half stays for good.
    const Status half = try_create(database_ref());
    EXPECT_FALSE(half);
    server_.execute("ALTER ROLE admin CONNECTION LIMIT -1");
    EXPECT_NE(presence(database_ref()), Presence::ready);
    create(database_ref());
}

TEST(PostgresStrategy, FollowsWhatWasMeasured) {
    constexpr std::int64_t mb = 1 << 20;
    EXPECT_EQ(clone_strategy(8 * mb, false, 150000), "FILE_COPY");
    EXPECT_EQ(clone_strategy(8 * mb, true, 150000), "WAL_LOG");
    EXPECT_EQ(clone_strategy(180 * mb, true, 150000), "FILE_COPY");
    EXPECT_EQ(clone_strategy(180 * mb, false, 170000), "FILE_COPY");
    EXPECT_EQ(clone_strategy(8 * mb, false, 140000), "");
}

TEST(PostgresMark, ReadsOnlyItsOwn) {
    EXPECT_FALSE(parse_mark(""));
    EXPECT_FALSE(parse_mark("my database"));
    EXPECT_FALSE(parse_mark("[1]"));
    EXPECT_FALSE(parse_mark("{\"seatrial\": 7}"));
    EXPECT_FALSE(parse_mark("{\"spec\": \"x\"}"));
    const auto mark = parse_mark(render_mark({"abc", "h", "m1", "m0"}));
    ASSERT_TRUE(mark);
    EXPECT_EQ(mark->instance + mark->spec + mark->migrating + mark->migrated, "abchm1m0");
    EXPECT_EQ(parse_mark("{\"seatrial\": \"a\", \"spec\": [1]}")->spec, "");
}

}    // namespace
}    // namespace seatrial::resource
