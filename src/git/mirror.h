// The daemon's bare copy of an app's repository: commits come in by bundle or fetch, worktrees
// go out. One folder <data>/mirrors/<name>.git per repository. Metadata changes (worktree add
// and remove, ref updates) hold the mirror's own flock; checkouts run in parallel.
// All git processes: core.hooksPath empty, fsmonitor off, no submodules, no LFS smudge, no
// credential helper unless the caller's, protocol allow-list, GIT_CONFIG_NOSYSTEM.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"
#include "process/command.h"

namespace seatrial::git {

struct WorktreeEntry {
    std::string name;    // of the admin folder = base name of the path's parent
    std::filesystem::path path;
    std::string head;       // "" when unreadable
    bool locked = false;    // half made ("initializing")
};

class Mirror {
public:
    explicit Mirror(std::filesystem::path folder) : folder_(std::move(folder)) {}
    const std::filesystem::path& folder() const { return folder_; }

    Status ensure(const Context& ctx) const;    // git init --bare, repeatable
    Result<bool> has_commit(const std::string& commit, const Context& ctx) const;
    Result<std::vector<std::string>> tips(const Context& ctx) const;    // commits of all our refs
    // Unbundles into refs/st/in/<commit>; `invalid` when the bundle is broken or lacks `commit`.
    Status receive_bundle(const std::filesystem::path& bundle, const std::string& commit,
                          const Context& ctx) const;
    // git fetch of one branch of a remote URL; returns its commit. `not_found`: no such branch.
    Result<std::string> fetch(const std::string& remote, const std::string& branch,
                              const Context& ctx) const;
    // Keeps a commit alive under refs/st/keep/<name>; delete is repeatable.
    Status keep_ref(const std::string& name, const std::string& commit, const Context& ctx) const;
    Status delete_ref(const std::string& name, const Context& ctx) const;
    Result<std::vector<std::string>> list_refs(
        const Context& ctx) const;    // names under refs/st/keep/
    // Removes refs/st/in/* that nothing needs, then `git gc --auto`-like upkeep (collector).
    Status tidy(const Context& ctx) const;

    Result<std::string> read_blob(const std::string& commit, const std::string& path,
                                  const Context& ctx) const;
    // "mode type id\tpath" hash of the named paths at a commit: the dependency key's raw part.
    // Paths may be globs (git pathspec, literal otherwise).
    Result<std::string> tree_digest(const std::string& commit,
                                    const std::vector<std::string>& paths,
                                    const Context& ctx) const;

    // `git worktree add --detach --no-checkout`, repairing what a killed one left. The checkout
    // itself is checkout_argv(), run by the owner of the tree.
    Status add_worktree(const std::filesystem::path& path, const std::string& commit,
                        const Context& ctx) const;
    std::filesystem::path admin_folder(const std::filesystem::path& path) const;
    // Forgets a worktree whose path is gone or about to go: admin folder and lock. Repeatable.
    Status drop_worktree(const std::filesystem::path& path, const Context& ctx) const;
    Result<std::vector<WorktreeEntry>> list_worktrees(const Context& ctx) const;

    // Is the branch's work contained in `base` (ancestor, same patch-ids, or same tree: squash)?
    // Errors mean unknown.
    Result<bool> is_merged(const std::string& commit, const std::string& base,
                           const Context& ctx) const;

private:
    std::filesystem::path folder_;
};

// Environment and argv for git inside a preview's tree, run as the tree's own uid.
std::vector<std::string> tree_git_env(const std::filesystem::path& tree);
std::vector<std::string> checkout_argv(
    const std::string& commit);    // moves HEAD and files, drops local changes, keeps ignored files
std::vector<std::string> status_argv();    // porcelain, empty output = clean
// Runs git in the tree as the tree's owner: argv (without cwd), extra environment → exit code
// and output. The resource layer supplies it (process/runner.h), tests may run it directly.
using TreeGit = std::function<Result<process::Output>(const std::vector<std::string>& argv,
                                                      const std::vector<std::string>& env)>;
// Saves local commits, uncommitted and untracked (not ignored) work on top of `commit` into
// `folder`/salvage.bundle (new objects go to a private object directory in `folder`, the mirror
// is only an alternate). Returns the commit to fetch, or "" when there was nothing to save.
Result<std::string> salvage(const TreeGit& git, const std::filesystem::path& mirror,
                            const std::string& commit, const std::filesystem::path& folder);
// HEAD of a worktree read from its admin folder without running git; "" when unreadable.
std::string worktree_head(const std::filesystem::path& admin_folder);

}    // namespace seatrial::git
