// SQL around copies of a database, for psql; see release/snapshot.h.
#pragma once

#include <string_view>

namespace seatrial::release {

// Before both others: settings, and a function of the session, how many rows each table has.
extern const std::string_view rows_sql;
// Prints one line of JSON.
extern const std::string_view counting_select;
// Refuses when something was written. Wants the settings seatrial.known (what counting_select
// printed), seatrial.ignored (JSON list of "schema.table"), seatrial.tools (JSON list of tables)
// and seatrial.discard ("yes": only tells).
extern const std::string_view refuse_losses_sql;
// Removes what the session's user has made, but for extensions.
extern const std::string_view drop_all_sql;

}    // namespace seatrial::release
