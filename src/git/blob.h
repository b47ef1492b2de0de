// Questions to `git cat-file --batch`: one process answers many.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "git/run.h"

namespace seatrial::git {

// The commit that each name stands for, nullopt where there is none. Names are lines.
Result<std::vector<std::optional<std::string>>> find_commits(const Call& base,
                                                             const std::vector<std::string>& names,
                                                             const Context& ctx);
// `invalid` unless the path is relative, plain and below the top.
Status check_path(const std::string& path);
// The content of `path` at `commit`; see repository.h.
Result<std::string> read_blob_at(const Call& base, const std::string& commit,
                                 const std::string& path, const Context& ctx);

}    // namespace seatrial::git
