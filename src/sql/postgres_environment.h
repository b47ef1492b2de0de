// A database's URL as the variables that libpq's programs read, so that its password is in no argv.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace seatrial::sql {

// `url`: as apps write them, "postgresql+driver://", "jdbc:postgresql://" and parameters of other
// libraries included, which are left out. `invalid`, without a word of it, when it names no
// PostgreSQL database.
Result<std::map<std::string, Secret>> postgres_environment(const Secret& url);

}    // namespace seatrial::sql
