#include "sql/sqlite.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "support/temp_dir.h"

namespace seatrial::sql {
namespace {

using test::TempDir;

class SqliteTest : public testing::Test {
protected:
    Sqlite open() {
        auto opened = Sqlite::open(file_);
        EXPECT_TRUE(opened) << render_error(opened.error());
        return std::move(*opened);
    }
    static std::int64_t number(Sqlite& db, std::string_view sql) {
        std::int64_t out = -1;
        const Status done = db.run(sql, {}, [&out](const Row& row) -> Status {
            out = row.integer(0);
            return {};
        });
        EXPECT_TRUE(done) << render_error(done.error());
        return out;
    }
    static std::string text(Sqlite& db, std::string_view sql, const std::vector<Value>& values) {
        std::string out;
        const Status done = db.run(sql, values, [&out](const Row& row) -> Status {
            out = row.text(0);
            return {};
        });
        EXPECT_TRUE(done) << render_error(done.error());
        return out;
    }

    TempDir dir_;
    std::filesystem::path file_ = dir_.path() / "a.db";
};

TEST_F(SqliteTest, KeepsEveryKindOfValue) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
    const std::string odd("a\0b'\xC3\xA9", 6);
    ASSERT_TRUE(db.run("INSERT INTO t (v) VALUES (?), (?), (?), (?), (?)",
                       {Value(), Value(std::int64_t{1} << 60), Value(odd), Value(true),
                        Value(std::optional<std::string>())}));
    EXPECT_EQ(db.changes(), 5);
    EXPECT_EQ(db.last_id(), 5);
    std::vector<std::string> seen;
    ASSERT_TRUE(db.run("SELECT v FROM t ORDER BY id", {}, [&seen](const Row& row) -> Status {
        seen.push_back(row.null(0) ? "null" : row.text(0));
        return {};
    }));
    EXPECT_EQ(seen, (std::vector<std::string>{"null", "1152921504606846976", odd, "1", "null"}));
    EXPECT_EQ(text(db, "SELECT v FROM t WHERE v = ?", {odd}), odd);
}

TEST_F(SqliteTest, IsWalWithForeignKeysAndFullSync) {
    Sqlite db = open();
    EXPECT_EQ(text(db, "PRAGMA journal_mode", {}), "wal");
    EXPECT_EQ(number(db, "PRAGMA foreign_keys"), 1);
    EXPECT_EQ(number(db, "PRAGMA journal_size_limit"), 64 << 20);
    EXPECT_EQ(number(db, "PRAGMA busy_timeout"), 5000);
}

TEST_F(SqliteTest, DurabilityIsChosenPerTransaction) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v)"));
    constexpr int full = 2;
    constexpr int normal = 1;
    const auto write = [&db] { return db.run("INSERT INTO t VALUES (1)"); };
    int inside = 0;
    const auto look = [&] {
        inside = static_cast<int>(number(db, "PRAGMA synchronous"));
        return write();
    };
    ASSERT_TRUE(db.transaction(Durability::relaxed, look));
    EXPECT_EQ(inside, normal);
    EXPECT_EQ(db.synced_commits(), 0);
    ASSERT_TRUE(db.transaction(Durability::full, look));
    EXPECT_EQ(inside, full);
    EXPECT_EQ(db.synced_commits(), 1);
    ASSERT_TRUE(db.transaction(Durability::relaxed, look));
    ASSERT_TRUE(write());    // alone: full again
    EXPECT_EQ(number(db, "PRAGMA synchronous"), full);
    EXPECT_EQ(db.synced_commits(), 2);
    EXPECT_EQ(number(db, "SELECT count(*) FROM t"), 4);
    EXPECT_EQ(db.synced_commits(), 2) << "reading is no commit";
}

TEST_F(SqliteTest, AnErrorInTheBodyRollsBack) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v UNIQUE)"));
    const Status failed = db.transaction(Durability::full, [&db]() -> Status {
        TRY(db.run("INSERT INTO t VALUES (1)"));
        return db.run("INSERT INTO t VALUES (1)");
    });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::conflict);
    EXPECT_EQ(number(db, "SELECT count(*) FROM t"), 0);
    EXPECT_EQ(db.synced_commits(), 0);
    EXPECT_TRUE(
        db.transaction(Durability::full, [&] { return db.run("INSERT INTO t VALUES (2)"); }));
}

TEST_F(SqliteTest, OurOwnMistakesAreNamed) {
    Sqlite db = open();
    EXPECT_EQ(db.run("SELECT 1; SELECT 2").error().code, Code::internal);
    EXPECT_EQ(db.run("").error().code, Code::internal);
    EXPECT_EQ(db.run("SELECT ?").error().code, Code::internal);
    EXPECT_EQ(db.run("SELECT 1", {1}).error().code, Code::internal);
    EXPECT_EQ(db.run("SELEC 1").error().code, Code::internal);
    EXPECT_EQ(db.script(std::string_view("SELECT 1;\0x", 11)).error().code, Code::internal);
    const Status nested = db.transaction(Durability::full, [&db]() -> Status {
        return db.transaction(Durability::full, [] { return Status{}; });
    });
    EXPECT_EQ(nested.error().code, Code::internal);
    const Status copied =
        db.transaction(Durability::full, [&] { return db.backup_to(dir_.path() / "b.db"); });
    EXPECT_EQ(copied.error().code, Code::internal);
}

TEST_F(SqliteTest, TheSameStatementMayRunInsideItsOwnCallback) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v); INSERT INTO t VALUES (1), (2), (3)"));
    constexpr std::string_view sql = "SELECT v FROM t WHERE v >= ? ORDER BY v";
    std::string seen;
    ASSERT_TRUE(db.run(sql, {1}, [&](const Row& row) -> Status {
        seen += row.text(0);
        return db.run(sql, {3}, [&seen](const Row& inner) -> Status {
            seen += "-" + inner.text(0);
            return {};
        });
    }));
    EXPECT_EQ(seen, "1-32-33-3");
}

TEST_F(SqliteTest, AnErrorOfTheCallbackEndsTheStatement) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v); INSERT INTO t VALUES (1), (2)"));
    int rows = 0;
    const Status done = db.run("SELECT v FROM t", {}, [&rows](const Row&) -> Status {
        ++rows;
        return fail(Code::refused, "no");
    });
    EXPECT_EQ(done.error().code, Code::refused);
    EXPECT_EQ(rows, 1);
    EXPECT_TRUE(db.script("DROP TABLE t")) << "the statement was left running";
}

TEST_F(SqliteTest, CacheStaysBounded) {
    Sqlite db = open();
    for (int i = 0; i < 400; ++i) {
        ASSERT_TRUE(db.run("SELECT " + std::to_string(i)));
    }
}

TEST_F(SqliteTest, WhatIsNoDatabaseIsInvalid) {
    std::ofstream(file_) << std::string(5000, 'x');
    const auto opened = Sqlite::open(file_);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::invalid);
    EXPECT_EQ(Sqlite::open(file_, true).error().code, Code::invalid);
}

TEST_F(SqliteTest, MissingFilesAndFolders) {
    EXPECT_EQ(Sqlite::open(dir_.path() / "none.db", true).error().code, Code::not_found);
    EXPECT_EQ(Sqlite::open(dir_.path() / "no" / "b.db").error().code, Code::unavailable);
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "none.db"));
}

TEST_F(SqliteTest, ReadOnlyRefusesToWrite) {
    {
        Sqlite db = open();
        ASSERT_TRUE(db.script("CREATE TABLE t (v); INSERT INTO t VALUES (7)"));
    }
    auto reader = Sqlite::open(file_, true);
    ASSERT_TRUE(reader);
    EXPECT_EQ(number(*reader, "SELECT v FROM t"), 7);
    EXPECT_EQ(reader->run("INSERT INTO t VALUES (8)").error().code, Code::unavailable);
}

TEST_F(SqliteTest, ImmutableLeavesNothingBesideTheFile) {
    const auto odd = dir_.path() / "a?b#c%20d.db";
    {
        auto db = Sqlite::open(odd);
        ASSERT_TRUE(db);
        ASSERT_TRUE(db->script("CREATE TABLE t (v); INSERT INTO t VALUES (7)"));
    }
    auto reader = Sqlite::open_immutable(odd);
    ASSERT_TRUE(reader) << render_error(reader.error());
    EXPECT_EQ(number(*reader, "SELECT v FROM t"), 7);
    ASSERT_TRUE(reader->backup_to(file_));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 2);
    EXPECT_EQ(Sqlite::open_immutable(dir_.path() / "none").error().code, Code::not_found);
}

TEST_F(SqliteTest, DamageIsFoundByTheCheck) {
    {
        Sqlite db = open();
        ASSERT_TRUE(
            db.script("CREATE TABLE t (v); CREATE INDEX i ON t (v);"
                      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT "
                      "2000) INSERT INTO t SELECT 'row number ' || x FROM n"));
        EXPECT_TRUE(db.integrity_check());
    }
    const auto size = std::filesystem::file_size(file_);
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file << std::string(4096, '\x5A');
    file.close();
    auto db = Sqlite::open(file_);
    const Status checked = db ? db->integrity_check() : Status(tl::unexpected(db.error()));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::invalid);
}

TEST_F(SqliteTest, FullDiskIsUnavailableAndTheConnectionSurvives) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v); PRAGMA max_page_count=20"));
    const std::string large(4000, 'x');
    const Status filled = db.transaction(Durability::full, [&]() -> Status {
        for (int i = 0; i < 100; ++i) {
            TRY(db.run("INSERT INTO t VALUES (?)", {large}));
        }
        return {};
    });
    ASSERT_FALSE(filled);
    EXPECT_EQ(filled.error().code, Code::unavailable);
    EXPECT_EQ(number(db, "SELECT count(*) FROM t"), 0);
    EXPECT_TRUE(
        db.transaction(Durability::full, [&] { return db.run("INSERT INTO t VALUES (1)"); }));
    EXPECT_TRUE(db.integrity_check());
}

TEST_F(SqliteTest, TwoConnectionsSerialiseTheirWrites) {
    Sqlite a = open();
    ASSERT_TRUE(a.script("CREATE TABLE t (v)"));
    Sqlite b = open();
    ASSERT_TRUE(b.script("PRAGMA busy_timeout=10"));
    const Status outer = a.transaction(Durability::full, [&]() -> Status {
        TRY(a.run("INSERT INTO t VALUES (1)"));
        const Status other =
            b.transaction(Durability::full, [&] { return b.run("INSERT INTO t VALUES (2)"); });
        EXPECT_EQ(other.error().code, Code::unavailable);
        return {};
    });
    EXPECT_TRUE(outer);
    EXPECT_EQ(number(b, "SELECT count(*) FROM t"), 1);
}

TEST_F(SqliteTest, BackupIsOneSnapshotAndReplacesWhole) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v); INSERT INTO t VALUES (42)"));
    const auto copy = dir_.path() / "copy.db";
    std::ofstream(copy.string() + ".part") << "left by a crash";
    ASSERT_TRUE(db.backup_to(copy));
    EXPECT_FALSE(std::filesystem::exists(copy.string() + ".part"));
    auto opened = Sqlite::open(copy);
    ASSERT_TRUE(opened);
    EXPECT_EQ(number(*opened, "SELECT v FROM t"), 42);
    EXPECT_TRUE(opened->integrity_check());
    EXPECT_TRUE(db.run("INSERT INTO t VALUES (43)")) << "the snapshot was left open";
}

TEST_F(SqliteTest, BackupStopsWhenCancelled) {
    Sqlite db = open();
    ASSERT_TRUE(db.script("CREATE TABLE t (v)"));
    CancelSource source;
    source.cancel();
    const auto copy = dir_.path() / "copy.db";
    // Larger than one step, so that the copy is looked at while it is under way.
    ASSERT_TRUE(
        db.script("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 3000)"
                  "INSERT INTO t SELECT randomblob(4000) FROM n"));
    EXPECT_EQ(db.backup_to(copy, source.context()).error().code, Code::cancelled);
    EXPECT_FALSE(std::filesystem::exists(copy));
    EXPECT_FALSE(std::filesystem::exists(copy.string() + ".part"));
}

TEST_F(SqliteTest, BackupToAFolderThatIsNotThere) {
    Sqlite db = open();
    EXPECT_FALSE(db.backup_to(dir_.path() / "no" / "copy.db"));
    EXPECT_TRUE(db.script("CREATE TABLE t (v)")) << "the snapshot was left open";
}

TEST_F(SqliteTest, CommittedDataSurvivesAKilledProcess) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto db = Sqlite::open(file_);
        bool good = db && db->script("CREATE TABLE t (v)");
        good = good && db->transaction(Durability::full,
                                       [&] { return db->run("INSERT INTO t VALUES (1)"); });
        [[maybe_unused]] const Status lost = db->transaction(Durability::full, [&]() -> Status {
            TRY(db->run("INSERT INTO t VALUES (2)"));
            ::_exit(good ? 7 : 1);
        });
        ::_exit(1);
    }
    int state = 0;
    ASSERT_EQ(::waitpid(child, &state, 0), child);
    ASSERT_EQ(WEXITSTATUS(state), 7);
    Sqlite db = open();
    EXPECT_EQ(number(db, "SELECT count(*) FROM t"), 1);
    EXPECT_TRUE(db.integrity_check());
}

}    // namespace
}    // namespace seatrial::sql
