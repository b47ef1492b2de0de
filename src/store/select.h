// Reading rows of the records, shared by Records and Writer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sql/sqlite.h"
#include "store/values.h"

namespace seatrial::store {

extern const std::string life_columns;
extern const std::string approval_columns;

std::int64_t millis(WallTime time);
WallTime wall(std::int64_t value);
Life read_life(const sql::Row& row);
Result<std::vector<Life>> select_lives(sql::Sqlite& db, const std::string& where,
                                       const std::vector<sql::Value>& values);
Result<std::optional<Life>> select_life(sql::Sqlite& db, const std::string& where,
                                        const std::vector<sql::Value>& values);
Result<std::int64_t> select_number(sql::Sqlite& db, const std::string& text,
                                   const std::vector<sql::Value>& values);
Result<std::vector<Owned>> select_owned(sql::Sqlite& db, const std::string& where,
                                        const std::vector<sql::Value>& values);
Result<std::vector<Slot>> select_slots(sql::Sqlite& db, const std::string& where,
                                       const std::vector<sql::Value>& values);
Result<std::vector<Release>> select_releases(sql::Sqlite& db, const std::string& tail,
                                             const std::vector<sql::Value>& values);
Result<std::vector<Incident>> select_incidents(sql::Sqlite& db, const std::string& tail,
                                               const std::vector<sql::Value>& values);
Result<std::vector<Approval>> select_approvals(sql::Sqlite& db, const std::string& tail,
                                               const std::vector<sql::Value>& values);
Result<std::vector<Event>> select_events(sql::Sqlite& db, const std::string& tail,
                                         const std::vector<sql::Value>& values);

}    // namespace seatrial::store
