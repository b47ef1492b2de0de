// The tables of the records and their migrations.
#pragma once

#include "store/records.h"

namespace seatrial::store {

// Brings the open database to schema_version, a transaction per step. Errors: `invalid` for a
// newer schema, which is left untouched.
Status migrate_schema(sql::Sqlite& db);

}    // namespace seatrial::store
