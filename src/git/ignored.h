// Whether git would publish a file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/context.h"

namespace seatrial::git {

enum class Place : unsigned char {
    outside,      // of any work tree
    tracked,      // committed, or in the index
    ignored,      // in a work tree that never takes it
    untracked,    // the next `git add .` takes it
};

// By the path's name, without following it. Errors as run_git's, and of a broken repository.
// At most 2 processes, none outside of a work tree.
Result<Place> place_of(const std::filesystem::path& file, const Context& ctx);

// Tracked files below `folder` whose name begins with ".env", relative to it; none outside of a
// work tree. At most 1 process.
Result<std::vector<std::string>> tracked_env_files(const std::filesystem::path& folder,
                                                   const Context& ctx);

}    // namespace seatrial::git
