#include "store/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"

namespace seatrial::store {
namespace {

using testing::HasSubstr;

struct RecordsTest : testing::Test {
    RecordsTest() {
        std::string pattern = testing::TempDir() + "/records-XXXXXX";
        folder = ::mkdtemp(pattern.data());
        open();
    }
    ~RecordsTest() override {
        records.reset();
        std::filesystem::remove_all(folder);
    }
    void open() {
        records.reset();
        auto opened = Records::open(folder / "seatrial.db");
        ASSERT_TRUE(opened) << opened.error().message;
        records = std::move(*opened);
    }
    static Life life(const std::string& id, const std::string& key) {
        Life life;
        life.id = id;
        life.app = "shop";
        life.key = key;
        life.env = "int";
        life.state = "starting";
        life.spec = "{}";
        life.status = "{}";
        life.created_at = life.changed_at = now_utc();
        return life;
    }
    Status put(const Life& life) {
        return records->write(sql::Durability::full,
                              [&](Writer& writer) { return writer.put_life(life); });
    }
    std::filesystem::path folder;
    std::unique_ptr<Records> records;
};

TEST_F(RecordsTest, KeepsALifeOverAReopening) {
    Life made = life("01A", "DEMO-1");
    made.expires_at = *parse_time("2026-11-22T10:00:00.000Z");
    made.pinned = true;
    ASSERT_TRUE(put(made));
    open();
    const auto found = records->life("01A");
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->key, "DEMO-1");
    EXPECT_EQ((*found)->expires_at, made.expires_at);
    EXPECT_TRUE((*found)->pinned);
}

TEST_F(RecordsTest, RefusesASecondWantedLifeOfASubjectButNotBesideAStoppingOne) {
    ASSERT_TRUE(put(life("01A", "DEMO-1")));
    EXPECT_FALSE(put(life("01B", "DEMO-1")));
    Life stopping = life("01A", "DEMO-1");
    stopping.wanted = false;
    ASSERT_TRUE(put(stopping));
    EXPECT_TRUE(put(life("01B", "DEMO-1")));
}

TEST_F(RecordsTest, ADeploymentIsNoPreview) {
    ASSERT_TRUE(put(life("01A", "")));
    Life deployment = life("01B", "");
    deployment.kind = "deployment";
    ASSERT_TRUE(put(deployment));
    EXPECT_EQ(records->lives({})->size(), 1U);
    EXPECT_EQ(records->unfinished("deployment"), std::vector<std::string>{"01B"});
    LifeFilter deployments;
    deployments.kind = "deployment";
    EXPECT_EQ(records->lives(deployments)->at(0).id, "01B");
}

TEST_F(RecordsTest, ReleasesAreNewestFirstAndMayBeRejected) {
    ASSERT_TRUE(records->write(sql::Durability::full, [&](Writer& writer) -> Status {
        TRY(writer.put_release({"01A", "shop", now_utc(), "", "{}"}));
        TRY(writer.put_release({"01B", "shop", now_utc(), "", "{}"}));
        TRY(writer.put_release({"01C", "other", now_utc(), "", "{}"}));
        TRY(writer.put_release({"01B", "shop", now_utc(), "slow", "changed"}));
        return writer.add_incident({"01X", "shop", "prd", now_utc(), "{}"});
    }));
    const auto found = records->releases("shop", 10);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 2U);
    EXPECT_EQ(found->at(0).id, "01B");
    EXPECT_EQ(found->at(0).rejected, "slow");
    EXPECT_EQ(found->at(0).data, "{}") << "what was built never changes";
    EXPECT_EQ(records->incidents("shop", "", 10)->size(), 1U);
    EXPECT_EQ(records->incidents("", "stg", 10)->size(), 0U);
}

TEST_F(RecordsTest, AnOlderSchemaIsBroughtForwardWithItsRows) {
    ASSERT_TRUE(put(life("01A", "DEMO-1")));
    records.reset();
    {
        auto db = sql::Sqlite::open(folder / "seatrial.db");
        ASSERT_TRUE(db);
        ASSERT_TRUE(
            db->script("DROP TABLE release; DROP TABLE incident; DROP TABLE approval; "
                       "DROP INDEX life_subject; "
                       "DROP INDEX life_key; DROP INDEX life_unwarned; DROP INDEX life_ending; "
                       "CREATE UNIQUE INDEX life_subject ON life (app, key, env) WHERE "
                       "wanted = 1; PRAGMA user_version = 1"));
    }
    open();
    EXPECT_EQ(records->lives({})->size(), 1U);
    EXPECT_TRUE(records->releases("shop", 1));
    EXPECT_TRUE(records->approvals("shop", "", true, 1));
}

TEST_F(RecordsTest, SettlingNeverOverwritesWhatIsNewerOrWhatPeopleSet) {
    Life seen = life("01A", "DEMO-1");
    seen.generation = 1;
    ASSERT_TRUE(put(seen));
    Life newer = seen;
    newer.pinned = true;
    newer.expires_at = *parse_time("2026-11-22T10:00:00.000Z");
    ASSERT_TRUE(put(newer));
    seen.state = "running";
    ASSERT_TRUE(records->write(sql::Durability::full,
                               [&](Writer& writer) { return writer.settle(seen, 1); }));
    EXPECT_EQ((*records->life("01A"))->state, "running");
    EXPECT_TRUE((*records->life("01A"))->pinned);
    EXPECT_EQ((*records->life("01A"))->expires_at, newer.expires_at);
    newer.generation = 2;
    newer.wanted = false;
    ASSERT_TRUE(put(newer));
    const auto stale = records->write(sql::Durability::full,
                                      [&](Writer& writer) { return writer.settle(seen, 1); });
    ASSERT_FALSE(stale);
    EXPECT_EQ(stale.error().code, Code::cancelled);
    EXPECT_FALSE((*records->life("01A"))->wanted);
}

TEST_F(RecordsTest, AFailedTransactionLeavesNothingAndTellsNobody) {
    int told = 0;
    records->on_events([&](const std::vector<Event>&) { ++told; });
    const auto written = records->write(sql::Durability::full, [&](Writer& writer) -> Status {
        TRY(writer.put_life(life("01A", "DEMO-1")));
        TRY(writer.add_event({0, now_utc(), "01A", 1, "test", "state", "{}"}));
        return fail(Code::failed, "no");
    });
    EXPECT_FALSE(written);
    EXPECT_FALSE(*records->life("01A"));
    EXPECT_EQ(*records->last_event(), 0);
    EXPECT_EQ(told, 0);
}

TEST_F(RecordsTest, NumbersEventsInOrderAndFindsThemByLife) {
    std::vector<std::int64_t> told;
    records->on_events([&](const std::vector<Event>& events) {
        for (const auto& event : events) {
            told.push_back(event.seq);
        }
    });
    for (const char* id : {"01A", "01B", "01A"}) {
        ASSERT_TRUE(records->write(sql::Durability::relaxed, [&](Writer& writer) {
            return writer.add_event({0, now_utc(), id, 1, "test", "step", "{}"});
        }));
    }
    EXPECT_THAT(told, testing::ElementsAre(1, 2, 3));
    EXPECT_EQ(records->events(0, "01A", 10)->size(), 2U);
    EXPECT_EQ(records->events(1, "", 10)->size(), 2U);
}

TEST_F(RecordsTest, ASlotHasOneOwner) {
    ASSERT_TRUE(records->write(sql::Durability::full, [&](Writer& writer) -> Status {
        EXPECT_TRUE(*writer.take_slot({"port", "host", 5100, "01A", "web"}));
        EXPECT_FALSE(*writer.take_slot({"port", "host", 5100, "01B", "api"}));
        TRY(writer.free_slots("01A"));
        EXPECT_TRUE(*writer.take_slot({"port", "host", 5100, "01B", "api"}));
        return {};
    }));
}

TEST_F(RecordsTest, SharedRefsAreUnusedWhenNoLifeUsesThem) {
    const Owned tree{"", 1, "dep-tree", "host", "st-x-tree"};
    ASSERT_TRUE(records->write(sql::Durability::full, [&](Writer& writer) -> Status {
        bool fresh = false;
        TRY(writer.add_owned(tree, &fresh));
        EXPECT_TRUE(fresh);
        TRY(writer.add_owned(tree, &fresh));
        EXPECT_FALSE(fresh);
        return writer.add_use("01A", tree);
    }));
    EXPECT_TRUE(records->shared_unused()->empty());
    ASSERT_TRUE(records->write(sql::Durability::full,
                               [&](Writer& writer) { return writer.remove_uses("01A"); }));
    EXPECT_EQ(records->shared_unused()->size(), 1U);
}

TEST_F(RecordsTest, RefusesANewerSchemaAndLeavesItUntouched) {
    records.reset();
    {
        auto db = sql::Sqlite::open(folder / "seatrial.db");
        ASSERT_TRUE(db);
        ASSERT_TRUE(db->script("PRAGMA user_version = 99"));
    }
    const auto opened = Records::open(folder / "seatrial.db");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::invalid);
    EXPECT_THAT(opened.error().message, HasSubstr("99"));
}

TEST_F(RecordsTest, RefusesAFileThatIsNoDatabase) {
    records.reset();
    std::filesystem::remove(folder / "seatrial.db-wal");
    ASSERT_TRUE(write_file_atomic(folder / "seatrial.db", std::string(8192, 'x')));
    const auto opened = Records::open(folder / "seatrial.db");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::invalid);
}

TEST_F(RecordsTest, ABackupIsACompleteDatabase) {
    ASSERT_TRUE(put(life("01A", "DEMO-1")));
    ASSERT_TRUE(records->backup_to(folder / "copy.db"));
    auto copy = Records::open(folder / "copy.db");
    ASSERT_TRUE(copy);
    EXPECT_TRUE(*(*copy)->life("01A"));
    EXPECT_TRUE((*copy)->integrity_check(folder / "copy.db"));
}

TEST_F(RecordsTest, WholeRecordsPassTheIntegrityCheck) {
    ASSERT_TRUE(records->write(sql::Durability::full, [&](Writer& writer) -> Status {
        TRY(writer.put_life(life("01A", "DEMO-1")));
        for (int i = 0; i < 50; ++i) {
            TRY(writer.add_owned({"01A", i, "process", "host", "st-x-" + std::to_string(i)}));
            TRY(writer.take_slot({"port", "host", 5100 + i, "01A", "web"}));
        }
        TRY(writer.set_meta("key", "value"));
        return writer.add_use("01A", {"", 0, "dep-tree", "host", "st-x-tree"});
    }));
    const auto checked = records->integrity_check(folder / "seatrial.db");
    EXPECT_TRUE(checked) << checked.error().message;
}

TEST_F(RecordsTest, CountsOnlySyncedCommits) {
    const auto before = records->synced_commits();
    ASSERT_TRUE(put(life("01A", "DEMO-1")));
    ASSERT_TRUE(records->write(sql::Durability::relaxed, [&](Writer& writer) {
        return writer.add_event({0, now_utc(), "01A", 1, "test", "step", "{}"});
    }));
    EXPECT_EQ(records->synced_commits(), before + 1);
}

}    // namespace
}    // namespace seatrial::store
