// The files of one preview: <folder>/tree is what the app sees, <folder>/git its private git
// folder (HEAD, index), whose `commondir` names the mirror (gitrepository-layout). It is what
// `git worktree add` makes, but beside the tree instead of inside the mirror: the mirror holds
// nothing that a preview may write, a removal is one rename, and a killed add leaves neither a
// `locked` entry nor a lock that others meet.
//
// Tree and git folder belong to the preview's uid; from then on git runs there only as that uid
// (checkout_argv, tree_git_env) and reads the mirror without being able to write it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "process/command.h"

namespace seatrial::git {

std::filesystem::path tree_folder(const std::filesystem::path& folder);
std::filesystem::path admin_folder(const std::filesystem::path& folder);

// Makes both below `folder` (which exists) with HEAD at `commit` and no file checked out.
// Repeatable, whatever a killed one or an app left of them. Files and index stay: without its
// index a filled tree cannot be moved (files that only the old commit had would remain), the
// caller removes it first. Runs no process; the caller owns both folders while it runs.
// Errors: `conflict` when a folder stands where a file belongs, or the other way round.
Status add_worktree(const std::filesystem::path& folder, const std::filesystem::path& mirror,
                    const std::string& commit);
// Everything that add_worktree makes is there and names this mirror.
bool worktree_intact(const std::filesystem::path& folder, const std::filesystem::path& mirror);
// HEAD of a worktree; "" when unreadable or on a branch. Never blocks, whatever lies there.
std::string worktree_head(const std::filesystem::path& folder);
// Locks that a killed git left (index.lock, HEAD.lock). Only the owner's death makes them stale.
std::vector<std::filesystem::path> worktree_locks(const std::filesystem::path& folder);

// The whole environment for git inside a tree, run as the tree's own uid.
std::vector<std::string> tree_git_env(const std::filesystem::path& tree);
// Moves files, then HEAD, to `commit`: drops local changes of tracked files, overwrites untracked
// ones in the way, keeps all others (ignored or not). A repeat mends a half-done one.
std::vector<std::string> checkout_argv(const std::string& commit);
// First line "# branch.oid <HEAD>", then a line for each change; no ignored files.
std::vector<std::string> status_argv();

// Runs git in the tree as the tree's owner: argv, whole environment → exit code and output
// (stderr may be mixed in). The resource layer supplies it (process/runner.h).
using TreeGit = std::function<Result<process::Output>(const std::vector<std::string>& argv,
                                                      const std::vector<std::string>& env)>;
// Saves what the tree at `folder` has beyond `commit` (local commits, changed and untracked, not
// ignored, files) into `out`/salvage.bundle for Mirror::receive_bundle and returns its commit;
// "" when there is nothing. `out` is an empty folder that the tree's owner may write; HEAD, index
// and files of the tree stay as they are. `index`: a file to look at instead of the tree's own
// index, to find out whether there is anything. 1 process when clean, at most 7.
Result<std::string> salvage(const TreeGit& git, const std::filesystem::path& folder,
                            const std::filesystem::path& mirror, const std::string& commit,
                            const std::filesystem::path& out, const std::string& index = {});

}    // namespace seatrial::git
