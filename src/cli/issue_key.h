// How the issue key is read from a branch name.
#pragma once

#include <string>
#include <string_view>

namespace seatrial::cli {

// The first "ABC-123" in the branch, or the first match of `pattern` (RE2-style); the branch's
// own name when there is none.
std::string issue_key(std::string_view branch, const std::string& pattern);

}    // namespace seatrial::cli
