// Where worktrees lie, settled once at the daemon's start.
#pragma once

#include <filesystem>

#include "config/config.h"
#include "config/variables.h"
#include "process/runner.h"

namespace seatrial::app {

struct WorktreeRoot {
    std::string path;                // `worktree_path`, "" for <data>/previews
    std::string key;                 // what it was set by, for errors
    bool from_repository = false;    // by the file of whoever ran `up`
};

WorktreeRoot worktree_root(const config::Server& server, const config::Variables& variables,
                           bool embedded);

// Lets the runner work there and notes it in <data>/worktrees. Errors: `invalid` naming the key
// when the folder cannot serve, or when previews still stand where worktrees lay before.
Status settle_worktrees(const WorktreeRoot& root, const std::filesystem::path& data,
                        const std::string& instance, process::Runner& runner);

}    // namespace seatrial::app
