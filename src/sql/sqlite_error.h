// SQLite result codes as our errors; inside sql/ only.
#pragma once

#include <string_view>

#include "base/result.h"

struct sqlite3;

namespace seatrial::sql {

// `code` is an extended result code, `db` may be null. Error.mark is "sqlite:<code>".
tl::unexpected<Error> fail_sqlite(std::string_view what, int code, sqlite3* db);

}    // namespace seatrial::sql
