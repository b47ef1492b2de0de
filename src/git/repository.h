// What the command line learns, as the caller, from the repository it stands in; and the bundle
// that carries commits to a daemon which may not enter the caller's home.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::git {

struct Repository {
    std::filesystem::path root;    // top of the work tree
    std::filesystem::path
        common_dir;        // absolute: identifies the repository, also from a linked worktree
    std::string branch;    // full ref, "" when detached
    std::string remote;    // URL of `origin`, credentials removed; "" when none
    std::string default_branch;    // full ref: origin/HEAD, else main, master, else current
};

Result<Repository> find_repository(const std::filesystem::path& from, const Context& ctx);
// Branch, tag or commit → 40-hex commit. A branch name is tried as refs/heads/, then as
// refs/remotes/origin/. Errors: not_found with the closest branches as hint.
Result<std::string> resolve(const Repository& repository, const std::string& ref,
                            const Context& ctx);
// A blob of a commit (seatrial.yaml, key files); `not_found` when the commit has no such path.
Result<std::string> read_blob(const Repository& repository, const std::string& commit,
                              const std::string& path, const Context& ctx);
// Runs `git bundle create -` for `commit` without what the receiver has already (`have`,
// commits unknown here are skipped) and writes it to `out`. Ok with nothing written when the
// receiver has the commit.
Status write_bundle(const Repository& repository, const std::string& commit,
                    const std::vector<std::string>& have, int out, const Context& ctx);

}    // namespace seatrial::git
