// The daemon's bare copy of an app's repository: commits come in by bundle or fetch, worktrees
// (git/worktree.h) read from it. One folder <data>/mirrors/<name>.git per repository, written by
// the daemon's user alone, readable by every preview's. Only commits live here, under refs/st/:
//   in/<commit>       came by bundle, not kept yet (the newest stay: they make bundles small)
//   fetch/<digest>    last state of a remote's branch
//   keep/<name>       kept for a life (resource git-ref)
//   salvage/<name>    work saved before a worktree was removed
// Ref updates hold the mirror's flock shared, upkeep and repair hold it alone: a lock file that
// is there while we are alone belongs to a killed process.
// Thread: any. Errors: `unavailable` is worth a retry.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::git {

struct Call;    // both in git/run.h
struct TreeFile;

class Mirror {
public:
    using LeaveOut = std::function<bool(std::string_view path)>;

    explicit Mirror(std::filesystem::path folder) : folder_(std::move(folder)) {}
    const std::filesystem::path& folder() const { return folder_; }
    // git init --bare, repeatable, also after dying half-way. No process once it is made.
    Status ensure(const Context& ctx) const;
    // At most 1 process, none for the tip of a ref.
    Result<bool> has_commit(const std::string& commit, const Context& ctx) const;
    // Commits of all our refs, for a sender to leave out; empty without a mirror. No process.
    Result<std::vector<std::string>> tips(const Context& ctx) const;
    // Unbundles into refs/st/in/<commit>; `invalid` when the bundle is broken, holds objects that
    // fsck refuses, lacks `commit` or builds on commits that are not here. 2 processes. Its size
    // is the caller's to limit.
    Status receive_bundle(const std::filesystem::path& bundle, const std::string& commit,
                          const Context& ctx) const;
    // git fetch of one branch of a remote URL; returns its commit. `not_found` with
    // mark "branch": the repository answered and has no such branch.
    Result<std::string> fetch(const std::string& remote, const std::string& branch,
                              const Context& ctx) const;
    // The tip of a branch in a repository on this host, told from its file, when a ref of the
    // mirror is at that commit too; "" where only fetch() can tell. Starts no process.
    std::string known_tip(const std::filesystem::path& repository, const std::string& branch,
                          const Context& ctx) const;

    // Keeps a commit alive under refs/st/keep/<name>, moves it when it is there; `not_found`
    // without that commit. 1 process.
    Status keep_ref(const std::string& name, const std::string& commit, const Context& ctx) const;
    // The commit under refs/st/keep/<name>, "" without one. No process.
    Result<std::string> kept_commit(const std::string& name) const;
    Status delete_ref(const std::string& name, const Context& ctx) const;    // absent is ok
    // Names under refs/st/keep/. No process.
    Result<std::vector<std::string>> list_refs(const Context& ctx) const;
    // As keep_ref, under refs/st/salvage/<name>; tidy() removes it when it is old.
    Status keep_salvage(const std::string& name, const std::string& commit,
                        const Context& ctx) const;

    // Before anybody works with it: what a killed process left locked is free again.
    Status drop_stale_locks(const Context& ctx) const;

    // Drops old refs/st/in/* and fetch/*, saved work older than `salvage_kept` (returns its names),
    // joins many packs, and once a week drops what nothing has reached for 30 days.
    Result<std::vector<std::string>> tidy(std::chrono::milliseconds salvage_kept,
                                          const Context& ctx) const;

    // See read_blob() in git/repository.h. 1 process.
    Result<std::string> read_blob(const std::string& commit, const std::string& path,
                                  const Context& ctx) const;
    // A tar of a commit's folder ("" = the whole tree) into `out_fd`. `leave_out` is asked for each
    // file by its path below the folder. 1 process; with `leave_out` at most 4.
    Status archive(const std::string& commit, const std::string& folder, int out_fd,
                   const Context& ctx, const LeaveOut& leave_out = {}) const;
    // The files at the paths (as in tree_digest), in their order. 1 process.
    Result<std::vector<TreeFile>> list_files(const std::string& commit,
                                             const std::vector<std::string>& paths,
                                             const Context& ctx) const;
    // SHA-256 over "mode id\tpath" of paths at a commit, folders too: the dependency key's raw
    // part. A path with * ? [ is a glob ("**" crosses folders), others are literal. 1 process.
    Result<std::string> tree_digest(const std::string& commit,
                                    const std::vector<std::string>& paths,
                                    const Context& ctx) const;

    // Is the branch's own work contained in `base` (merge commit, same patch-ids, squash, or same
    // content of every path it changed)? A branch without own work is not merged: a fresh one
    // equals its base. A fast-forward looks the same unless `fork` says where the base was when
    // the branch was first seen ("" = unknown). Errors mean unknown. Up to 7 processes.
    Result<bool> is_merged(const std::string& commit, const std::string& base,
                           const std::string& fork, const Context& ctx) const;

private:
    Call call() const;
    Result<Fd> lock(bool alone, const Context& ctx) const;
    Status change_ref(Call call, const std::string& ref, const std::string& what,
                      const Context& ctx) const;
    Status set_ref(const std::string& ref, const std::string& commit, const Context& ctx) const;
    Status drop_old_arrivals(const Context& ctx) const;
    Status drop_ref(const std::string& ref, const Context& ctx) const;
    Result<std::vector<std::string>> drop_old_salvage(std::chrono::milliseconds kept,
                                                      const Context& ctx) const;
    Status repack(const Context& ctx) const;
    std::filesystem::path folder_;
};

// For all mirrors in `folder`, before anybody works with them: what a killed process left locked
// is free again.
Status drop_stale_locks(const std::filesystem::path& folder, const Context& ctx);

}    // namespace seatrial::git
