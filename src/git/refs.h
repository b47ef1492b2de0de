// Names from outside (branches, commits, remote URLs) checked before they come near git.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace seatrial::git {

// The rules of git-check-ref-format plus ours: no leading '-', no control or bidirectional
// characters, valid UTF-8, at most 250 bytes. Accepts "feature/x" and "refs/heads/x"; returns
// the full ref "refs/heads/feature/x".
Result<std::string> parse_branch(std::string_view text);
// 40 lower-case hex digits.
bool is_commit_id(std::string_view text);
// https://, ssh://, git@host:path, file:// or an absolute path; nothing that git would run as a
// transport helper ("ext::"), no leading '-', no credentials in it.
Result<std::string> parse_remote(std::string_view text);

}    // namespace seatrial::git
