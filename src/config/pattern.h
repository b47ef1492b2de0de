// Regular expressions of the configuration. RE2: time and memory are bounded whatever pattern a
// branch brings, so the daemon may evaluate them. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace seatrial::config {

// Why `pattern` is not a regular expression; nullopt when it is one.
std::optional<std::string> pattern_fault(const std::string& pattern);
// True when the whole text matches; a faulty pattern matches nothing.
bool matches_fully(const std::string& pattern, std::string_view text);
// The first match in `text`: its first group if the pattern has one, else all of it. An issue
// key from a branch name: find_match(app.issue_pattern, branch).
std::optional<std::string> find_match(const std::string& pattern, std::string_view text);

}    // namespace seatrial::config
