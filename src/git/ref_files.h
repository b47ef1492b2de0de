#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"

namespace seatrial::git {

// Name → commit of the refs right below `prefix` ("refs/st/keep/"), read from the files without
// starting git; a broken ref has the commit "".
Result<std::map<std::string, std::string>> refs_below(const std::filesystem::path& mirror,
                                                      const std::string& prefix);
// The commit of one ref, "" when there is none.
Result<std::string> read_ref(const std::filesystem::path& mirror, const std::string& ref);

}    // namespace seatrial::git
