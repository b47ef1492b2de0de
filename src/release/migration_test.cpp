#include "release/migration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace seatrial::release {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SqlFile file(const std::string& path, const std::string& id, const std::string& sql) {
    return {path, id, guard::judge_sql(sql)};
}

Migration declared(bool contract) {
    Migration step;
    step.contract = contract;
    return step;
}

const SqlFile adds = file("db/1.sql", "1", "ALTER TABLE orders ADD COLUMN note text;");
const SqlFile drops = file("db/2.sql", "2", "SELECT 1;\nALTER TABLE orders DROP COLUMN note;");

TEST(SettleMigration, WhatOnlyAddsGoesThrough) {
    Migration step = declared(true);
    ASSERT_TRUE(settle_migration(step, {adds}, {}, "1.0-a"));
    EXPECT_FALSE(step.contract) << "declared, but there is none";
    EXPECT_THAT(step.notes, IsEmpty());
}

TEST(SettleMigration, WhatTakesAwayIsRefusedWithFileAndLine) {
    Migration step = declared(false);
    const auto refused = settle_migration(step, {adds, drops}, {}, "1.0-a");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().message, HasSubstr("db/2.sql:2 "));
    EXPECT_THAT(refused.error().message, HasSubstr("1.0-a"));
    EXPECT_THAT(refused.error().hint, HasSubstr("release.migrate.contract"));
}

TEST(SettleMigration, DeclaredItIsAContractAndTold) {
    Migration step = declared(true);
    ASSERT_TRUE(settle_migration(step, {adds, drops}, {}, "1.0-a"));
    EXPECT_TRUE(step.contract);
    EXPECT_THAT(step.notes, ElementsAre(HasSubstr("db/2.sql:2 ")));
}

TEST(SettleMigration, WhatTheServingReleaseHadIsNotJudgedAgain) {
    Migration step = declared(false);
    ASSERT_TRUE(settle_migration(step, {adds, drops}, {drops}, "1.0-a"));
    EXPECT_FALSE(step.contract);
    const SqlFile changed = file("db/2.sql", "2b", "DROP TABLE orders;");
    EXPECT_FALSE(settle_migration(step, {adds, changed}, {drops}, "1.0-a"))
        << "the same name, another content";
}

TEST(SettleMigration, WithoutSqlItSaysThatNothingIsKnown) {
    Migration step = declared(false);
    ASSERT_TRUE(settle_migration(step, {}, {}, "1.0-a"));
    EXPECT_THAT(step.notes, ElementsAre(HasSubstr("cannot be told")));
}

TEST(SettleMigration, FilesSurviveTheRecords) {
    const auto back = sql_of(sql_json({adds, drops}));
    ASSERT_EQ(back.size(), 2U);
    EXPECT_EQ(back[1].path, "db/2.sql");
    EXPECT_EQ(back[1].id, "2");
    ASSERT_EQ(back[1].findings.size(), 1U);
    EXPECT_EQ(back[1].findings[0].effect, guard::Effect::contract);
    EXPECT_EQ(back[1].findings[0].line, 2);
}

TEST(Content, AMigrationComesBackAsItWasWritten) {
    Content content;
    content.migration.argv = {"run"};
    content.migration.down = {"down", "it"};
    content.migration.component = "api";
    content.migration.snapshot = {"URL", "postgres:16", 4, std::chrono::hours(1), {"a.b"}};
    const Content back = content_of(to_json(content));
    EXPECT_EQ(back.migration.down, content.migration.down);
    EXPECT_EQ(back.migration.snapshot, content.migration.snapshot);
    Standing standing;
    standing.migrations["r"] = {
        Migrated::State::failed, "box", now_utc(), false, "1.0", {}, "id", "fault", "hint"};
    standing.snapshots = {{"id", "1.0", "0.9", now_utc(), 7}};
    const auto read = parse_standing(render_standing(standing));
    ASSERT_TRUE(read) << render_error(read.error());
    EXPECT_EQ(render_standing(*read), render_standing(standing));
    EXPECT_EQ(read->migrations.at("r").fault, "fault");
    EXPECT_EQ(read->snapshots.at(0).serving, "0.9");
}

}    // namespace
}    // namespace seatrial::release
