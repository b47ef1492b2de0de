// The folders that the helper works in: the data folder, and perhaps one more for worktrees. A
// path in a request is relative to the data folder, or absolute and below the other one.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "base/file.h"

namespace seatrial::process {

struct Roots {
    std::string data_path;
    Fd data;                       // O_PATH
    std::string worktrees_path;    // "" when they lie in the data folder
    Fd worktrees;
};

// Absolute.
std::string absolute_path(const Roots& roots, const std::string& path);
// The folder of one preview or one installation that a path lies in, absolute.
std::string owner_folder(const Roots& roots, const std::string& path);

// As in process/beneath.h. A whole root, or one of the data folder's own folders, is `refused`
// by open_parent(), so that no verb can be turned on it.
Result<Fd> open_below(const Roots& roots, const std::string& path, int flags);
Result<std::pair<Fd, std::string>> open_parent(const Roots& roots, const std::string& path);

// Opens the folder at an absolute path for worktrees, owned by `uid`: one that is missing is made
// with the folders above it, an empty one is taken over (as root). No link may be part of the
// path, no repository above it, and as root every folder above must let other users pass, because
// previews are such. Errors: `invalid`, saying what is wrong with the path and what to do.
Result<Fd> adopt_root(const std::string& path, uid_t uid, gid_t gid);

}    // namespace seatrial::process
