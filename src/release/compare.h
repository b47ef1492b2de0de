// What two environments have in common, and what not: names of variables, never values.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "release/variables.h"

namespace seatrial::release {

// A variable of only one of them, or with another value that `to` does not declare
// (release.may_differ). Each a line: "LOG_LEVEL has another value". Sorted.
// Errors: a source's.
Result<std::vector<std::string>> differences(const config::Environment& from,
                                             const config::Environment& to, Reader& reader);

struct Shared {
    std::string env;         // the other environment
    std::string variable;    // here; "" = it cannot be told:
    std::string why{};
};
// Other environments that take releases and name the same database in any variable: host, port and
// database are equal, whoever logs in. Errors: a source's, of this environment.
Result<std::vector<Shared>> shared_databases(const config::Server& server,
                                             const config::Environment& environment,
                                             Reader& reader);
// "host:port/name" of a database's URL; "" when it is none.
std::string database_of(std::string_view url);

// What is odd about an environment beside the others, for people: shared databases and cookies.
// Errors: a source's, of this environment.
Result<std::vector<std::string>> environment_notes(const config::Server& server,
                                                   const config::Environment& environment,
                                                   Reader& reader);

}    // namespace seatrial::release
