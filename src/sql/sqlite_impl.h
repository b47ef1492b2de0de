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
    Status check_readable();
    Status configure();

    std::filesystem::path file;
    sqlite3* db = nullptr;
    Durability durability = Durability::full;
    std::int64_t synced_commits = 0;
    std::unordered_map<std::string, sqlite3_stmt*> idle;    // prepared, not running
};

}    // namespace seatrial::sql
