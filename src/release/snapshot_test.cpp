#include "release/snapshot.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "support/postgres.h"

namespace seatrial::release {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* database = "snapshots";

class SnapshotTest : public ::testing::Test {
protected:
    static test::PrivatePostgres& server() { return test::PrivatePostgres::shared(); }

    void SetUp() override {
        server().execute("DROP DATABASE IF EXISTS snapshots");
        server().execute("CREATE DATABASE snapshots");
        run("CREATE TABLE item (id int PRIMARY KEY, note text);"
            "CREATE SCHEMA \"odd's\";"
            "CREATE TABLE \"odd's\".\"a.b\"\"c\" (id int);"
            "CREATE TABLE schema_migrations (version text);"
            "INSERT INTO item SELECT n, 'x' FROM generate_series(1, 10) n;"
            "INSERT INTO \"odd's\".\"a.b\"\"c\" VALUES (1)");
    }

    static void run(const std::string& sql) { server().execute(sql, database); }

    // As psql prints it.
    static std::string count() {
        auto connection = server().connect(database);
        std::string prologue = counting_sql();
        const auto select = prologue.find("WITH begun");
        const std::string last = prologue.substr(select);
        prologue.resize(select);
        const Context ctx;
        EXPECT_TRUE(connection.execute(prologue, ctx));
        const auto rows = connection.query(last.substr(0, last.rfind(';')), {}, ctx);
        EXPECT_TRUE(rows) << render_error(rows.error());
        return rows ? rows->at(0).at(0).value_or("") : "";
    }

    // What the guard says; "" = it let the restore go on, and everything is gone.
    static std::string guard(const std::string& counted, bool discard = false,
                             const std::vector<std::string>& ignored = {}) {
        const auto sql = guard_sql(counted, ignored, discard);
        if (!sql) {
            return render_error(sql.error());
        }
        auto connection = server().connect(database);
        const Context ctx;
        const Status done = connection.execute("BEGIN;\n" + *sql + "\nCOMMIT", ctx);
        return done ? "" : done.error().message;
    }

    static std::string lost(const std::string& counted) {
        return render_losses(losses_in(guard(counted)));
    }

    static std::string relations() {
        return server().value(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
            database);
    }
};

TEST_F(SnapshotTest, NothingWrittenSinceLetsItBeRestored) {
    const std::string counted = count();
    EXPECT_THAT(counted, HasSubstr("\"public.item\": 10"));
    EXPECT_EQ(guard(counted), "");
    EXPECT_EQ(relations(), "0");
}

TEST_F(SnapshotTest, WhatAMigrationLeavesHalfMadeIsNoLoss) {
    const std::string counted = count();
    run("CREATE TYPE mood AS ENUM ('good'); CREATE TABLE half (id serial, m mood);"
        "INSERT INTO half (m) VALUES ('good'); ALTER TABLE item ADD COLUMN more int;"
        "CREATE VIEW seen AS SELECT * FROM item; INSERT INTO schema_migrations VALUES ('2');"
        "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'");
    EXPECT_EQ(guard(counted), "");
    EXPECT_EQ(relations(), "0");
    EXPECT_EQ(server().value("SELECT count(*) FROM pg_type WHERE typname = 'mood'", database), "0");
    EXPECT_EQ(server().value("SELECT count(*) FROM pg_proc WHERE proname = 'twice'", database),
              "0");
}

TEST_F(SnapshotTest, EachRowThatWouldBeLostIsCounted) {
    const std::string counted = count();
    run("INSERT INTO item VALUES (11, 'new'), (12, 'new')");
    EXPECT_EQ(lost(counted), "public.item (2 rows added or changed, 0 changed or removed)");
    run("UPDATE item SET note = 'y' WHERE id <= 3; DELETE FROM item WHERE id = 4");
    EXPECT_EQ(lost(counted), "public.item (5 rows added or changed, 4 changed or removed)");
    run("DELETE FROM \"odd's\".\"a.b\"\"c\"");
    EXPECT_THAT(lost(counted),
                HasSubstr("odd's.a.b\"c (0 rows added or changed, 1 changed or removed)"));
    EXPECT_EQ(relations(), "4") << "nothing is removed";
    EXPECT_EQ(guard(counted, false, {"public.item", "odd's.a.b\"c"}), "") << "said not to matter";
}

TEST_F(SnapshotTest, ATableThatIsGoneCannotBeTold) {
    const std::string counted = count();
    run("DROP TABLE \"odd's\".\"a.b\"\"c\"");
    EXPECT_THAT(lost(counted), HasSubstr("odd's.a.b\"c (it is gone"));
}

TEST_F(SnapshotTest, WhatWasOpenWhileItWasCountedCountsAsWritten) {
    auto writer = server().connect(database);
    const Context ctx;
    ASSERT_TRUE(writer.execute("BEGIN; INSERT INTO item VALUES (20, 'open')", ctx));
    const std::string counted = count();
    ASSERT_TRUE(writer.execute("COMMIT", ctx));
    EXPECT_EQ(lost(counted), "public.item (1 rows added or changed, 0 changed or removed)");
}

TEST_F(SnapshotTest, WhoDecidesSoLosesIt) {
    const std::string counted = count();
    run("INSERT INTO item VALUES (11, 'new')");
    EXPECT_EQ(guard(counted, true), "");
    EXPECT_EQ(relations(), "0");
}

TEST(Snapshot, WhatIsNoCountIsRefused) {
    for (const char* text : {"", "{}", "[]", R"({"low": "1", "tables": {}})", R"({"low": 1})"}) {
        EXPECT_FALSE(guard_sql(text, {}, false)) << text;
    }
}

TEST(Snapshot, LossesAreReadFromWhatPsqlSays) {
    EXPECT_THAT(losses_in("psql:/x.sql:9: ERROR:  relation \"a\" does not exist\n"), IsEmpty());
    const auto losses = losses_in(
        "psql:/x.sql:9: ERROR:  seatrial: written since [{\"gone\": 1, \"table\": \"a\\u001b.b\", "
        "\"written\": 2}]\nCONTEXT:  PL/pgSQL\n");
    EXPECT_EQ(render_losses(losses), "a?.b (2 rows added or changed, 1 changed or removed)");
    EXPECT_EQ(losses_in("ERROR: seatrial: written since [{\"ta").size(), 1U) << "it was refused";
}

}    // namespace
}    // namespace seatrial::release
