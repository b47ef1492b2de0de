#include "sql/sqlite.h"

#include <sqlite3.h>

#include <unordered_map>

#include "base/failpoint.h"
#include "base/text.h"
#include "sql/sqlite_error.h"
#include "sql/sqlite_impl.h"

namespace seatrial::sql {
namespace {

constexpr int busy_timeout_ms = 5000;
constexpr std::size_t cache_limit = 128;

int bind(sqlite3_stmt* statement, int index, const Value& value) {
    if (value.text()) {
        // The vector of values outlives the step: no copy needed.
        return sqlite3_bind_text64(statement, index, value.text()->data(), value.text()->size(),
                                   SQLITE_STATIC, SQLITE_UTF8);
    }
    if (value.number()) {
        return sqlite3_bind_int64(statement, index, *value.number());
    }
    return sqlite3_bind_null(statement, index);
}

}    // namespace

std::int64_t Row::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

std::string Row::text(int column) const {
    const void* bytes = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    if (bytes == nullptr || size <= 0) {
        return {};
    }
    return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

bool Row::null(int column) const {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Sqlite::Impl::~Impl() {
    for (const auto& [text, statement] : idle) {
        sqlite3_finalize(statement);
    }
    sqlite3_close_v2(db);
}

// Takes a statement out of the cache: one that is running (a callback may run the same text)
// is never handed out twice.
Result<sqlite3_stmt*> Sqlite::Impl::take(std::string_view sql) {
    if (const auto found = idle.find(std::string(sql)); found != idle.end()) {
        sqlite3_stmt* statement = found->second;
        idle.erase(found);
        return statement;
    }
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, &tail);
    if (code != SQLITE_OK) {
        return fail_sqlite("prepare", code, db);
    }
    const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
    if (statement == nullptr || !trim(rest).empty()) {
        sqlite3_finalize(statement);
        return fail(Code::internal, "run() takes exactly one statement");
    }
    return statement;
}

void Sqlite::Impl::give_back(std::string_view sql, sqlite3_stmt* statement) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (idle.size() >= cache_limit || !idle.emplace(std::string(sql), statement).second) {
        sqlite3_finalize(statement);
    }
}

Status Sqlite::Impl::exec(const char* sql) {
    const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
        return fail_sqlite("sqlite", code, db);
    }
    return {};
}

Status Sqlite::Impl::set_durability(Durability wanted) {
    if (durability == wanted) {
        return {};
    }
    TRY(exec(wanted == Durability::full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
    durability = wanted;
    return {};
}

Status Sqlite::Impl::step_all(sqlite3_stmt* statement, const std::vector<Value>& values,
                              const std::function<Status(const Row&)>& each) {
    if (sqlite3_bind_parameter_count(statement) != static_cast<int>(values.size())) {
        return fail(Code::internal, "number of values differs from the statement's parameters");
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (const int code = bind(statement, static_cast<int>(i) + 1, values[i]);
            code != SQLITE_OK) {
            return fail_sqlite("bind", code, db);
        }
    }
    while (true) {
        const int code = sqlite3_step(statement);
        if (code == SQLITE_DONE) {
            return {};
        }
        if (code != SQLITE_ROW) {
            return fail_sqlite("sqlite", code, db);
        }
        if (each) {
            TRY(each(Row(statement)));
        }
    }
}

Sqlite::Sqlite(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sqlite::Sqlite(Sqlite&&) noexcept = default;
Sqlite& Sqlite::operator=(Sqlite&&) noexcept = default;
Sqlite::~Sqlite() = default;

Result<Sqlite> Sqlite::Impl::open_as(const std::string& name, int flags,
                                     const std::filesystem::path& file) {
    auto impl = std::make_unique<Impl>();
    impl->file = file;
    const bool read_only = (flags & SQLITE_OPEN_READONLY) != 0;
    const int code = sqlite3_open_v2(name.c_str(), &impl->db,
                                     flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    std::error_code ignored;
    if (code != SQLITE_OK && read_only && !std::filesystem::exists(file, ignored)) {
        return fail(Code::not_found, file.string() + " does not exist");
    }
    const std::string what = "open " + file.string();
    if (code != SQLITE_OK) {
        return fail_sqlite(what, code, impl->db);
    }
    sqlite3_busy_timeout(impl->db, busy_timeout_ms);
    // A file of others may carry a schema made to harm its reader.
    sqlite3_db_config(impl->db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(impl->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    Sqlite opened(std::move(impl));
    const auto ready = read_only ? opened.impl_->check_readable() : opened.impl_->configure();
    if (!ready) {
        return wrap(ready.error(), what);
    }
    return opened;
}

Result<Sqlite> Sqlite::open(const std::filesystem::path& file, bool read_only) {
    const int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    return Impl::open_as(file, flags, file);
}

Result<Sqlite> Sqlite::open_immutable(const std::filesystem::path& file) {
    std::string uri = "file:";
    for (const char c : file.string()) {
        // The three characters that mean something in a URI's path.
        const std::string_view escaped = c == '%'   ? "%25"
                                         : c == '?' ? "%3f"
                                         : c == '#' ? "%23"
                                                    : "";
        uri += escaped.empty() ? std::string(1, c) : std::string(escaped);
    }
    return Impl::open_as(uri + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, file);
}

// The first read finds out what sqlite3_open leaves open: whether this is a database at all.
Status Sqlite::Impl::check_readable() {
    return exec("SELECT count(*) FROM sqlite_schema");
}

Status Sqlite::Impl::configure() {
    TRY(check_readable());
    TRY_ASSIGN(sqlite3_stmt * statement, take("PRAGMA journal_mode=WAL"));
    std::string mode;
    const Status stepped = step_all(statement, {}, [&mode](const Row& row) -> Status {
        mode = row.text(0);
        return {};
    });
    sqlite3_finalize(statement);
    TRY(stepped);
    if (mode != "wal") {
        return fail(Code::unavailable, "this file system cannot hold a WAL database",
                    "put the data directory on a local disk");
    }
    return exec(
        "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=67108864");
}

Status Sqlite::run(std::string_view sql, const std::vector<Value>& values,
                   const std::function<Status(const Row&)>& each) {
    TRY_ASSIGN(sqlite3_stmt * statement, impl_->take(sql));
    // A write outside a transaction commits by itself; nobody said it may be lost.
    const bool alone =
        sqlite3_get_autocommit(impl_->db) != 0 && sqlite3_stmt_readonly(statement) == 0;
    Status done = alone ? impl_->set_durability(Durability::full) : Status{};
    if (done) {
        done = impl_->step_all(statement, values, each);
    }
    impl_->give_back(sql, statement);
    if (done && alone) {
        ++impl_->synced_commits;
    }
    return done;
}

Status Sqlite::script(std::string_view sql) {
    if (sql.find('\0') != std::string_view::npos) {
        return fail(Code::internal, "a script must not hold a zero byte");
    }
    return impl_->exec(std::string(sql).c_str());
}

std::int64_t Sqlite::changes() const {
    return sqlite3_changes64(impl_->db);
}

std::int64_t Sqlite::last_id() const {
    return sqlite3_last_insert_rowid(impl_->db);
}

std::int64_t Sqlite::synced_commits() const {
    return impl_->synced_commits;
}

Status Sqlite::transaction(Durability durability, const std::function<Status()>& body) {
    if (sqlite3_get_autocommit(impl_->db) == 0) {
        return fail(Code::internal, "a transaction inside a transaction");
    }
    TRY(impl_->set_durability(durability));
    TRY(impl_->exec("BEGIN IMMEDIATE"));
    Status done = body();
    if (done) {
        done = failpoint("sqlite.commit.before");
    }
    // A full disk may have rolled back already: then COMMIT would fail, which is what we want.
    if (done) {
        done = impl_->exec("COMMIT");
    }
    if (!done) {
        if (sqlite3_get_autocommit(impl_->db) == 0) {
            [[maybe_unused]] const Status undone = impl_->exec("ROLLBACK");
        }
        return done;
    }
    if (durability == Durability::full) {
        ++impl_->synced_commits;
    }
    return failpoint("sqlite.commit.after");
}

Status Sqlite::integrity_check() {
    std::vector<std::string> findings;
    const Status done =
        run("PRAGMA integrity_check(10)", {}, [&findings](const Row& row) -> Status {
            findings.push_back(row.text(0));
            return {};
        });
    TRY(done);
    if (findings == std::vector<std::string>{"ok"}) {
        return {};
    }
    return fail(Code::invalid, impl_->file.string() + " is damaged: " + join(findings, "; "),
                "restore it from a backup");
}

}    // namespace seatrial::sql
