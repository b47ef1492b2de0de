// What two environments have in common, and what not: names of variables, never values.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace seatrial::release {

// A variable of only one of them, or with another value that `to` does not declare
// (release.may_differ). Each a line: "LOG_LEVEL has another value". Sorted.
std::vector<std::string> differences(const config::Environment& from,
                                     const config::Environment& to);

struct Shared {
    std::string env;         // the other environment
    std::string variable;    // here
};
// Other environments that take releases and name the same database in any variable: host, port and
// database are equal, whoever logs in.
std::vector<Shared> shared_databases(const config::Server& server,
                                     const config::Environment& environment);
// "host:port/name" of a database's URL; "" when it is none.
std::string database_of(std::string_view url);

// What is odd about an environment beside the others, for people: shared databases and cookies.
std::vector<std::string> environment_notes(const config::Server& server,
                                           const config::Environment& environment);

}    // namespace seatrial::release
