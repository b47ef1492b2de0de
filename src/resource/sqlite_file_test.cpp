#include "resource/sqlite_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sql/sqlite.h"
#include "support/temp_dir.h"

namespace seatrial::resource {
namespace {

namespace fs = std::filesystem;

constexpr const char* instance = "tstsql";
constexpr const char* file_name = "st-tstsql-shop-0123456789ab";

class SqliteFileTest : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directories(tree_);
        make_template(tree_ / "dev.db");
    }
    static void make_template(const fs::path& path) {
        auto db = sql::Sqlite::open(path);    // WAL: as many apps leave it
        ASSERT_TRUE(db && db->script("CREATE TABLE t (v); INSERT INTO t VALUES (41)"));
    }
    nlohmann::json spec(const fs::path& from) const {
        return {{"template", from.string()}, {"file", file_.string()}, {"uid_slot", 3}};
    }
    Status create(const nlohmann::json& spec) { return type_.create(ref_, spec, {}, {}); }
    Code code_of(const nlohmann::json& spec) {
        const Status made = create(spec);
        return made ? Code::internal : made.error().code;
    }

    test::TempDir dir_;
    fs::path data_ = dir_.path() / "data";
    fs::path home_ = data_ / "previews" / "st-tstsql-tree-0123456789ab";
    fs::path tree_ = home_ / "tree";
    fs::path file_ = home_ / "data" / (std::string(file_name) + ".sqlite");
    plan::Ref ref_{"sqlite-file", "host", file_name};
    std::vector<std::pair<fs::path, int>> owned_;
    SqliteFile type_{instance, data_, [this](const fs::path& tree, int slot, const Context&) {
                         owned_.emplace_back(tree, slot);
                         return Status();
                     }};
};

TEST_F(SqliteFileTest, TheCopyHasTheRowsAndBelongsToThePreview) {
    ASSERT_TRUE(create(spec(tree_ / "dev.db")));
    auto copy = sql::Sqlite::open(file_);
    ASSERT_TRUE(copy);
    std::int64_t value = 0;
    ASSERT_TRUE(copy->run("SELECT v FROM t", {}, [&value](const sql::Row& row) -> Status {
        value = row.integer(0);
        return {};
    }));
    EXPECT_EQ(value, 41);
    EXPECT_EQ(owned_,
              (std::vector<std::pair<fs::path, int>>{{home_ / "data", -1}, {home_ / "data", 3}}));
    struct stat info{};
    ASSERT_EQ(::stat(file_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(SqliteFileTest, ACleanTreeStaysClean) {
    ASSERT_TRUE(create(spec(tree_ / "dev.db")));
    EXPECT_EQ(std::distance(fs::directory_iterator(tree_), {}), 1) << "-wal or -shm left behind";
}

TEST_F(SqliteFileTest, WhatTheTemplateHoldsInItsWalIsCopiedToo) {
    auto writer = sql::Sqlite::open(tree_ / "dev.db");
    ASSERT_TRUE(writer && writer->run("INSERT INTO t VALUES (42)"));    // not checkpointed
    ASSERT_TRUE(create(spec(tree_ / "dev.db")));
    auto copy = sql::Sqlite::open(file_);
    std::int64_t rows = 0;
    ASSERT_TRUE(copy && copy->run("SELECT count(*) FROM t", {}, [&rows](const sql::Row& row) {
        rows = row.integer(0);
        return Status();
    }));
    EXPECT_EQ(rows, 2);
}

TEST_F(SqliteFileTest, AbsoluteTemplatesOfTheServer) {
    make_template(dir_.path() / "server.db");
    ASSERT_TRUE(create(spec(dir_.path() / "server.db")));
}

TEST_F(SqliteFileTest, BadTemplatesAreTheUsersFault) {
    EXPECT_EQ(code_of(spec(tree_ / "none.db")), Code::invalid);
    EXPECT_EQ(code_of(spec(tree_)), Code::invalid);
    std::ofstream(tree_ / "text.db") << std::string(4000, 'x');
    EXPECT_EQ(code_of(spec(tree_ / "text.db")), Code::invalid);
    EXPECT_EQ(type_.observe(ref_, {})->presence, plan::Presence::partial);
    ASSERT_TRUE(type_.destroy(ref_, {}));
    EXPECT_FALSE(fs::exists(home_ / "data"));
}

TEST_F(SqliteFileTest, ABranchCannotReachOtherFiles) {
    make_template(data_ / "seatrial.db");    // as the daemon's records
    EXPECT_EQ(code_of(spec(data_ / "seatrial.db")), Code::invalid);
    EXPECT_EQ(code_of(spec(tree_ / "../../../seatrial.db")), Code::invalid);
    fs::create_symlink(data_ / "seatrial.db", tree_ / "link.db");
    EXPECT_EQ(code_of(spec(tree_ / "link.db")), Code::invalid);
    fs::create_directory_symlink(data_, tree_ / "folder");
    EXPECT_EQ(code_of(spec(tree_ / "folder/seatrial.db")), Code::invalid);
    fs::create_symlink(data_ / "seatrial.db", dir_.path() / "outside.db");
    EXPECT_EQ(code_of(spec(dir_.path() / "outside.db")), Code::invalid);
    EXPECT_FALSE(fs::exists(file_));
}

TEST_F(SqliteFileTest, TheFileLiesWhereItBelongs) {
    for (const fs::path& path :
         {dir_.path() / "x.sqlite", home_ / "x.sqlite", data_ / "data" / file_.filename(),
          home_ / "data/../../../data" / file_.filename(), home_ / "data" / "other.sqlite"}) {
        nlohmann::json elsewhere = spec(tree_ / "dev.db");
        elsewhere["file"] = path.string();
        EXPECT_FALSE(create(elsewhere)) << path;
        EXPECT_FALSE(fs::exists(path)) << path;
    }
}

TEST_F(SqliteFileTest, LeftoversOfACrashAreReplaced) {
    fs::create_directory(home_ / "data");
    std::ofstream(file_) << "half";
    std::ofstream(file_.string() + "-wal") << "of something else";
    EXPECT_EQ(type_.observe(ref_, {})->presence, plan::Presence::partial);
    ASSERT_TRUE(create(spec(tree_ / "dev.db")));
    auto copy = sql::Sqlite::open(file_);
    ASSERT_TRUE(copy);
    EXPECT_TRUE(copy->integrity_check());
}

TEST_F(SqliteFileTest, GoesWithItsFolder) {
    ASSERT_TRUE(create(spec(tree_ / "dev.db")));
    fs::remove_all(home_);    // the worktree went first
    EXPECT_EQ(type_.observe(ref_, {})->presence, plan::Presence::absent);
    EXPECT_EQ(code_of(spec(tree_ / "dev.db")), Code::unavailable);
    EXPECT_TRUE(type_.destroy(ref_, {}));
}

}    // namespace
}    // namespace seatrial::resource
