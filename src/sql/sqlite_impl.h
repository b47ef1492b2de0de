// What the files of the SQLite adapter share; inside sql/ only.
#pragma once

#include <string>
#include <unordered_map>

#include "sql/sqlite.h"

namespace seatrial::sql {

struct Sqlite::Impl {
    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl();

    Result<sqlite3_stmt*> take(std::string_view sql);
    void give_back(std::string_view sql, sqlite3_stmt* statement);
    Status exec(const char* sql);
    Status set_durability(Durability wanted);
    Status step_all(sqlite3_stmt* statement, const std::vector<Value>& values,
                    const std::function<Status(const Row&)>& each);
    // `name` is a path, or a URI with SQLITE_OPEN_URI among the flags.
    static Result<Sqlite> open_as(const std::string& name, int flags,
                                  const std::filesystem::path& file);
    Status check_readable();
    Status configure();

    std::filesystem::path file;
    sqlite3* db = nullptr;
    Durability durability = Durability::full;
    std::int64_t synced_commits = 0;
    std::unordered_map<std::string, sqlite3_stmt*> idle;    // prepared, not running
};

}    // namespace seatrial::sql
