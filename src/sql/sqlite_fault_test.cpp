// The disk fails under the records: the Nth write, sync or truncate returns ENOSPC or EIO, for
// N = 1, 2, ... until a run passes without. What was answered with ok is there afterwards, the
// rest is there whole or not at all, and the file is sound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "sql/sqlite.h"
#include "support/temp_dir.h"

namespace seatrial::sql {
namespace {

using test::TempDir;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// A VFS before the system's own that fails one call. One at a time.
class FaultyDisk {
public:
    FaultyDisk() {
        system = sqlite3_vfs_find(nullptr);
        vfs_ = *system;
        vfs_.zName = "faulty";
        vfs_.xOpen = open;
        EXPECT_EQ(sqlite3_vfs_register(&vfs_, 1), SQLITE_OK);
        countdown = 0;
    }
    ~FaultyDisk() { sqlite3_vfs_unregister(&vfs_); }
    FaultyDisk(const FaultyDisk&) = delete;
    FaultyDisk& operator=(const FaultyDisk&) = delete;

    // The nth call from now on fails, and, as a full disk does, all that follow until 0 is set.
    static void fail_from(int nth, int with) {
        countdown = nth;
        code = with;
    }
    static bool failing() { return countdown < 0; }

private:
    static int open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags,
                    int* out) {
        const int opened = system->xOpen(system, name, file, flags, out);
        if (opened == SQLITE_OK && file->pMethods != nullptr) {
            // The database has other methods (locks) than its log.
            (flags & SQLITE_OPEN_MAIN_DB) != 0 ? Shim<0>::put_before(file)
                                               : Shim<1>::put_before(file);
        }
        return opened;
    }
    static bool strikes() {
        if (countdown > 0 && --countdown == 0) {
            countdown = -1;
        }
        return failing();
    }
    template <int kind>
    struct Shim {
        static void put_before(sqlite3_file* file) {
            methods = file->pMethods;
            faulty = *methods;
            faulty.xWrite = write;
            faulty.xSync = sync;
            faulty.xTruncate = truncate;
            file->pMethods = &faulty;
        }
        static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
            if (strikes()) {
                methods->xWrite(file, data, size / 2, at);    // torn
                return code;
            }
            return methods->xWrite(file, data, size, at);
        }
        static int sync(sqlite3_file* file, int flags) {
            return strikes() ? SQLITE_IOERR_FSYNC : methods->xSync(file, flags);
        }
        static int truncate(sqlite3_file* file, sqlite3_int64 size) {
            return strikes() ? SQLITE_IOERR_TRUNCATE : methods->xTruncate(file, size);
        }
        inline static const sqlite3_io_methods* methods = nullptr;
        inline static sqlite3_io_methods faulty{};
    };

    inline static sqlite3_vfs* system = nullptr;
    inline static int countdown = 0;
    inline static int code = SQLITE_FULL;
    sqlite3_vfs vfs_{};
};

class SqliteFaultTest : public testing::TestWithParam<int> {
protected:
    static std::int64_t number(Sqlite& db, std::string_view sql) {
        std::int64_t out = -1;
        const Status done = db.run(sql, {}, [&out](const Row& row) -> Status {
            out = row.integer(0);
            return {};
        });
        EXPECT_TRUE(done) << render_error(done.error());
        return out;
    }
    // Two rows that belong together, large enough for several pages.
    static Status add_pair(Sqlite& db, int number) {
        return db.transaction(Durability::full, [&]() -> Status {
            TRY(db.run("INSERT INTO t VALUES (?, ?)", {number, std::string(5000, 'a')}));
            return db.run("INSERT INTO t VALUES (?, ?)", {-number, std::string(5000, 'b')});
        });
    }
    TempDir dir_;
    FaultyDisk disk_;
};

TEST_P(SqliteFaultTest, WhatWasAnsweredIsThereAndNothingIsHalf) {
    constexpr int pairs = 8;
    bool fault_met = true;
    int runs = 0;
    for (int nth = 1; fault_met && nth < 1000; ++nth, ++runs) {
        const auto file = dir_.path() / ("n" + std::to_string(nth) + ".db");
        int answered = 0;
        int after = 0;
        {
            auto db = Sqlite::open(file);
            ASSERT_TRUE(db) << render_error(db.error());
            ASSERT_TRUE(db->script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"));
            FaultyDisk::fail_from(nth, GetParam());
            Status last;
            while (answered < pairs && last) {
                last = add_pair(*db, answered + 1);
                answered += last ? 1 : 0;
            }
            fault_met = FaultyDisk::failing();
            if (!last) {
                EXPECT_EQ(last.error().code, Code::unavailable) << render_error(last.error());
                EXPECT_THAT(render_error(last.error()), AnyOf(HasSubstr("full"), HasSubstr("I/O")));
                EXPECT_EQ(number(*db, "SELECT count(*) FROM t"), 2 * answered) << nth;
            }
            FaultyDisk::fail_from(0, 0);
            // The disk is well again: no new start is needed.
            const auto again = add_pair(*db, 1000);
            EXPECT_TRUE(again) << nth << ": " << render_error(again.error());
            after = again ? 2 : 0;
        }
        auto db = Sqlite::open(file);
        ASSERT_TRUE(db) << nth << ": " << render_error(db.error());
        EXPECT_EQ(number(*db,
                         "SELECT count(*) FROM pragma_integrity_check "
                         "WHERE integrity_check = 'ok'"),
                  1)
            << nth;
        const auto rows = number(*db, "SELECT count(*) FROM t");
        EXPECT_GE(rows, 2 * answered + after) << nth;
        EXPECT_EQ(rows % 2, 0) << nth;
        EXPECT_EQ(number(*db,
                         "SELECT count(*) FROM t AS a WHERE NOT EXISTS "
                         "(SELECT 1 FROM t AS b WHERE b.id = -a.id)"),
                  0)
            << nth;
    }
    EXPECT_GT(runs, 10);
    EXPECT_FALSE(fault_met) << "no run passed";
}

std::string fault_name(const testing::TestParamInfo<int>& about) {
    return about.param == SQLITE_FULL ? "NoSpace" : "InputOutput";
}
INSTANTIATE_TEST_SUITE_P(Disk, SqliteFaultTest, testing::Values(SQLITE_FULL, SQLITE_IOERR_WRITE),
                         fault_name);

}    // namespace
}    // namespace seatrial::sql
