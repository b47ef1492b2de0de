// What a release may do to the database of an environment, and whether there is a way back. Inside
// the transaction in which it becomes wanted.
#pragma once

#include <string>
#include <vector>

#include "release/deployment.h"
#include "store/records.h"

namespace seatrial::release {

// Fills in the contract and the notes of the content's migration; `refused` when it takes away what
// the release that serves uses, here or in one of `shares`, environments with the same database.
// Nobody uses the database before the first release; what ran here already harms nobody again.
Status settle_database(store::Writer& writer, const std::string& app,
                       const std::vector<std::string>& shares, const Standing& standing,
                       Content& content);
// Refused when a migration in between removed what `content` uses: it was built before that.
Status check_way_back(store::Writer& writer, const std::string& app,
                      const std::vector<std::string>& shares, const Standing& standing,
                      const Content& content);
// Refused when what serves, here or in one of `shares`, could not run on the copy.
Status check_restore(store::Writer& writer, const std::string& app,
                     const std::vector<std::string>& shares, const Standing& standing,
                     const Snapshot& copy);

}    // namespace seatrial::release
