#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

#include "base/failpoint.h"
#include "base/file.h"
#include "sql/sqlite_error.h"
#include "sql/sqlite_impl.h"

namespace seatrial::sql {
namespace {

constexpr int pages_per_step = 2048;    // 8 MB: cancellation is looked at this often

Status sync_path(const std::filesystem::path& path, int flags) {
    const Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
    if (!fd) {
        return fail_errno("open " + path.string(), errno);
    }
    if (::fsync(fd.get()) != 0) {
        return fail_errno("fsync " + path.string(), errno);
    }
    return {};
}

Status copy_pages(sqlite3* from, sqlite3* to, const Context& ctx) {
    sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == nullptr) {
        return fail_sqlite("backup", sqlite3_extended_errcode(to), to);
    }
    Status alive;
    int code = SQLITE_OK;
    while (code == SQLITE_OK && alive) {
        code = sqlite3_backup_step(backup, pages_per_step);
        alive = ctx.ok();
    }
    const int finished = sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE && finished == SQLITE_OK) {
        return {};
    }
    TRY(alive);
    return fail_sqlite("backup", code == SQLITE_OK ? finished : code, to);
}

Status copy_database(sqlite3* from, const std::filesystem::path& file, const Context& ctx) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(
        file.c_str(), &raw,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        nullptr);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> to(raw, &sqlite3_close);
    if (code != SQLITE_OK) {
        return fail_sqlite("open " + file.string(), code, to.get());
    }
    // Half a copy is thrown away, a whole one is synced once at the end.
    sqlite3_exec(to.get(), "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", nullptr, nullptr,
                 nullptr);
    return copy_pages(from, to.get(), ctx);
}

}    // namespace

Status Sqlite::backup_to(const std::filesystem::path& file, const Context& ctx) {
    if (sqlite3_get_autocommit(impl_->db) == 0) {
        return fail(Code::internal, "a backup inside a transaction");
    }
    const std::filesystem::path part = file.string() + ".part";
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    TRY(failpoint("sqlite.backup.before"));
    // One snapshot for all steps: a writer cannot make the copy start over again and again.
    TRY(impl_->exec("BEGIN; SELECT count(*) FROM sqlite_schema"));
    Status done = copy_database(impl_->db, part, ctx);
    [[maybe_unused]] const Status ended = impl_->exec("ROLLBACK");
    if (done) {
        done = sync_path(part, O_RDONLY);
    }
    if (done) {
        done = failpoint("sqlite.backup.copied");
    }
    if (done && ::rename(part.c_str(), file.c_str()) != 0) {
        done = fail_errno("rename " + part.string(), errno);
    }
    if (!done) {
        std::filesystem::remove(part, ignored);
        return done;
    }
    const std::filesystem::path folder = file.parent_path();
    return sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

}    // namespace seatrial::sql
