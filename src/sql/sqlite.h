// Thin layer over SQLite's C interface: statements, values, transactions, errors as values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"

struct sqlite3;
struct sqlite3_stmt;

namespace seatrial::sql {

// NULL, integer or text, as bound or read. Records hold nothing else.
class Value {
public:
    Value() = default;                                     // NULL
    Value(std::int64_t number) : number_(number) {}        // NOLINT: implicit on purpose
    Value(int number) : number_(number) {}                 // NOLINT
    Value(bool flag) : number_(flag ? 1 : 0) {}            // NOLINT
    Value(std::string text) : text_(std::move(text)) {}    // NOLINT
    Value(std::string_view text) : text_(text) {}          // NOLINT
    Value(const char* text) : text_(text) {}               // NOLINT
    template <class T>
    Value(std::optional<T> maybe) {    // NOLINT
        if (maybe) {
            *this = Value(std::move(*maybe));
        }
    }
    const std::optional<std::int64_t>& number() const { return number_; }
    const std::optional<std::string>& text() const { return text_; }

private:
    std::optional<std::int64_t> number_;
    std::optional<std::string> text_;
};

// One result row; columns by position from 0. Valid only inside the callback that got it.
class Row {
public:
    explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
    std::int64_t integer(int column) const;    // 0 when NULL
    std::string text(int column) const;        // "" when NULL
    bool null(int column) const;

private:
    sqlite3_stmt* statement_;
};

enum class Durability { full, relaxed };    // fsync at commit, or at checkpoint only

// One database connection. Thread: one at a time (the owner locks).
class Sqlite {
public:
    // WAL, foreign keys on, busy timeout 5 s, journal_size_limit 64 MB. Errors: unavailable
    // (disk full, locked), invalid (not a database, corrupt).
    static Result<Sqlite> open(const std::filesystem::path& file, bool read_only = false);
    // Reads a file that nobody writes meanwhile: no locks, and nothing made beside it.
    static Result<Sqlite> open_immutable(const std::filesystem::path& file);
    Sqlite(Sqlite&&) noexcept;
    Sqlite& operator=(Sqlite&&) noexcept;
    ~Sqlite();

    // One statement with ?-parameters; rows go to `each`. Prepared statements are cached by text.
    Status run(std::string_view sql, const std::vector<Value>& values = {},
               const std::function<Status(const Row&)>& each = {});
    // Several statements without parameters (migrations).
    Status script(std::string_view sql);
    std::int64_t changes() const;    // rows of the last statement
    std::int64_t last_id() const;

    // BEGIN IMMEDIATE; body; COMMIT with the wanted durability. Any error rolls back.
    Status transaction(Durability durability, const std::function<Status()>& body);
    std::int64_t synced_commits() const;    // how many `full` commits so far

    // Online copy of one snapshot to `file`.part, fsync, rename.
    Status backup_to(const std::filesystem::path& file, const Context& ctx = {});
    Status integrity_check();    // `invalid` with the first findings

private:
    struct Impl;
    explicit Sqlite(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::sql
