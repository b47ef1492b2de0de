// What the command line learns, as the caller, from the repository it stands in; and the bundle
// that carries commits to a daemon which may not enter the caller's home. Nothing here writes
// into that repository, runs its hooks or filters, or overrides the caller's safe.directory.
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
    bool shallow = false;          // a truncated history: write_bundle() refuses it
};

// Errors: not_found outside a repository, refused when it belongs to somebody else.
// A repository without any commit is fine. Starts 3 processes.
Result<Repository> find_repository(const std::filesystem::path& from, const Context& ctx);
// Branch, tag or commit (also cut to 7 or more digits, or "HEAD") → 40-hex commit. A branch name
// is tried as refs/heads/, then as refs/remotes/origin/, then a tag of that name; "origin/x" and
// full refs work too. Errors: not_found with the closest branches as hint. 1 process.
Result<std::string> resolve(const Repository& repository, const std::string& ref,
                            const Context& ctx);
// A blob of a commit (seatrial.yaml, key files); `not_found` when the commit has no such path,
// `invalid` over 16 MB. Symbolic links are not followed. 1 process.
Result<std::string> read_blob(const Repository& repository, const std::string& commit,
                              const std::string& path, const Context& ctx);
// Writes a git bundle of `commit` to `out` without what the receiver has already (`have`,
// commits unknown here are skipped). The bundle's only ref is refs/st/in/<commit>. Ok with
// nothing written when the receiver has the commit. At most 3 processes.
Status write_bundle(const Repository& repository, const std::string& commit,
                    const std::vector<std::string>& have, int out, const Context& ctx);

}    // namespace seatrial::git
