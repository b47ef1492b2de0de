// Mirror::is_merged: has a branch's own work reached its base, by whatever way of merging?
#include <set>

#include "base/text.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

// First merge base, "" when the histories share nothing.
Result<std::string> merge_base(const Call& base, const std::string& a, const std::string& b,
                               const Context& ctx) {
    Call call = base;
    call.args = {"merge-base", a, b};
    TRY_ASSIGN(const process::Output output, run_git(std::move(call), ctx));
    if (output.exit_code == 1 && output.err.empty()) {
        return std::string();
    }
    if (output.exit_code != 0) {
        return tl::unexpected(git_error("cannot compare commits", output));
    }
    return std::string(trim(output.out));
}

// Paths whose content or mode differs between two commits.
Result<std::set<std::string>> changed_paths(const Call& base, const std::string& from,
                                            const std::string& to, const Context& ctx) {
    Call call = base;
    call.args = {"diff-tree", "-r", "-z", "--no-renames", "--name-only", from, to};
    call.output_limit = 64 << 20;
    TRY_ASSIGN(const std::string out, run_git_checked(std::move(call), "cannot compare", ctx));
    std::set<std::string> paths;
    for (const auto path : split(out, '\0')) {
        if (!path.empty()) {
            paths.emplace(path);
        }
    }
    return paths;
}

// An ancestor of the base that its first-parent chain does not pass came in by a merge commit.
Result<bool> came_by_merge(const Call& base, const std::string& commit, const std::string& tip,
                           const Context& ctx) {
    if (commit == tip) {
        return false;
    }
    Call call = base;
    call.args = {"rev-list", "--first-parent", "--parents", tip, "^" + commit};
    call.output_limit = 64 << 20;
    TRY_ASSIGN(const std::string out,
               run_git_checked(std::move(call), "cannot read the base's history", ctx));
    // The last line is the oldest: "<id> <first parent> ...", where the chain meets the branch.
    const auto lines = split(trim(out), '\n');
    const auto words = split(lines.back(), ' ');
    return words.size() < 2 || words[1] != commit;
}

// Has every commit of `commit` without `base` a twin by patch-id in the base? No commit: no.
Result<bool> all_picked(const Call& base, const std::string& tip, const std::string& commit,
                        const Context& ctx) {
    Call call = base;
    call.args = {"cherry", tip, commit};
    TRY_ASSIGN(const std::string out,
               run_git_checked(std::move(call), "cannot compare patches", ctx));
    return out.starts_with("- ") && out.find("+ ") == std::string::npos;
}

// The branch as one commit on top of the merge base. Equal input gives the equal commit: asking
// again adds nothing.
Result<std::string> squashed(const Call& base, const std::string& fork, const std::string& commit,
                             const Context& ctx) {
    Call call = base;
    for (const char* who : {"AUTHOR", "COMMITTER"}) {
        const std::string name = std::string("GIT_") + who;
        call.env.push_back(name + "_NAME=Seatrial");
        call.env.push_back(name + "_EMAIL=seatrial@localhost");
        call.env.push_back(name + "_DATE=@946684800 +0000");
    }
    call.args = {"commit-tree", "-p", fork, "-m", "squash", commit + "^{tree}"};
    TRY_ASSIGN(const std::string out,
               run_git_checked(std::move(call), "cannot join the branch's commits", ctx));
    return std::string(trim(out));
}

bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
    for (const auto& path : a) {
        if (b.contains(path)) {
            return false;
        }
    }
    return true;
}

}    // namespace

Result<bool> Mirror::is_merged(const std::string& commit, const std::string& base,
                               const std::string& fork, const Context& ctx) const {
    for (const auto* id : {&commit, &base, &fork}) {
        const bool unknown_fork = id == &fork && fork.empty();
        if (!unknown_fork && !is_commit_id(*id)) {
            return fail(Code::invalid, "'" + printable(*id) + "' is no commit id");
        }
    }
    const Call git = call();
    TRY_ASSIGN(const std::string common, merge_base(git, commit, base, ctx));
    if (common.empty()) {
        return false;
    }
    if (common == commit) {
        if (fork.empty()) {
            return came_by_merge(git, commit, base, ctx);
        }
        // Own work = what the base did not have when the branch was first seen.
        TRY_ASSIGN(const std::string then, merge_base(git, commit, fork, ctx));
        return then != commit;
    }
    TRY_ASSIGN(const auto work, changed_paths(git, common, commit, ctx));
    if (work.empty()) {
        return false;    // commits that change nothing prove nothing
    }
    TRY_ASSIGN(const auto missing, changed_paths(git, base, commit, ctx));
    if (disjoint(work, missing)) {
        return true;
    }
    TRY_ASSIGN(const bool picked, all_picked(git, base, commit, ctx));
    if (picked) {
        return true;
    }
    TRY_ASSIGN(const std::string squash, squashed(git, common, commit, ctx));
    return all_picked(git, base, squash, ctx);
}

}    // namespace seatrial::git
