#include "git/repository.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include "base/names.h"
#include "base/text.h"
#include "git/blob.h"
#include "git/bundle.h"
#include "git/refs.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

// The caller's own configuration counts (safe.directory stands there), our precautions on top.
Call caller_call(const std::filesystem::path& cwd) {
    Call call;
    call.cwd = cwd;
    call.env = config_env();
    call.env.emplace_back("GIT_OPTIONAL_LOCKS=0");
    for (const char* name :
         {"XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
          "SUDO_UID", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"}) {
        if (const char* value = std::getenv(name)) {
            call.env.push_back(std::string(name) + "=" + value);
        }
    }
    return call;
}

// A URL without "user:password@"; ssh keeps its user, which is part of the address.
std::string without_credentials(const std::string& url) {
    const auto scheme = url.find("://");
    if (scheme == std::string::npos) {
        return url;
    }
    const auto from = scheme + 3;
    const auto slash = url.find('/', from);
    const auto at = url.rfind('@', slash == std::string::npos ? url.size() : slash);
    if (at == std::string::npos || at < from) {
        return url;
    }
    const auto colon = url.find(':', from);
    if (url.starts_with("ssh://")) {
        return colon < at ? url.substr(0, colon) + url.substr(at) : url;
    }
    return url.substr(0, from) + url.substr(at + 1);
}

// "refs/remotes/origin/main" -> "refs/heads/main".
std::string as_head(std::string_view ref) {
    constexpr std::string_view remote = "refs/remotes/origin/";
    if (ref.starts_with(remote)) {
        ref.remove_prefix(remote.size());
        return "refs/heads/" + std::string(ref);
    }
    return std::string(ref);
}

Result<std::string> find_default_branch(const Call& base, const std::string& current,
                                        const Context& ctx) {
    Call call = base;
    call.args = {"for-each-ref",
                 "--format=%(refname) %(symref)",
                 "refs/remotes/origin/HEAD",
                 "refs/heads/main",
                 "refs/heads/master",
                 "refs/remotes/origin/main",
                 "refs/remotes/origin/master"};
    TRY_ASSIGN(const std::string out, run_git_checked(call, "cannot list branches", ctx));
    std::map<std::string, std::string, std::less<>> seen;    // ref -> what it points to
    for (const auto line : split(out, '\n')) {
        const auto space = line.find(' ');
        if (space != std::string_view::npos) {
            seen.emplace(line.substr(0, space), line.substr(space + 1));
        }
    }
    const auto head = seen.find("refs/remotes/origin/HEAD");
    if (head != seen.end() && !head->second.empty()) {
        return as_head(head->second);
    }
    for (const char* ref : {"refs/heads/main", "refs/remotes/origin/main", "refs/heads/master",
                            "refs/remotes/origin/master"}) {
        if (seen.contains(std::string_view(ref))) {
            return as_head(ref);
        }
    }
    return current;
}

// Branches of the repository, as a person would type them.
std::vector<std::string> branch_names(const Call& base, const Context& ctx) {
    Call call = base;
    call.args = {"for-each-ref",        "--count=5000", "--sort=-committerdate",
                 "--format=%(refname)", "refs/heads/",  "refs/remotes/origin/"};
    std::vector<std::string> names;
    if (const auto out = run_git_checked(call, "cannot list branches", ctx)) {
        for (const auto line : split(*out, '\n')) {
            const std::string head = as_head(line);
            if (head.size() > 11 && !head.ends_with("/HEAD")) {
                names.push_back(head.substr(11));
            }
        }
    }
    return names;
}

bool is_hex(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return (std::isdigit(c) != 0) || (c >= 'a' && c <= 'f');
    });
}

// What a person may have meant, in the order of trial; every name is a full ref or hex digits.
Result<std::vector<std::string>> candidates(const std::string& text) {
    if (text == "HEAD") {
        return std::vector<std::string>{"HEAD"};
    }
    for (const std::string_view space : {"refs/tags/", "refs/remotes/"}) {
        if (text.starts_with(space)) {
            TRY(parse_branch(text.substr(space.size())));
            return std::vector<std::string>{text};
        }
    }
    auto branch = parse_branch(text);
    if (!branch) {
        return tl::unexpected(std::move(branch).error());
    }
    std::vector<std::string> names;
    if (is_commit_id(text)) {
        names.push_back(text);    // git itself prefers the object over a branch of that name
    }
    const std::string name = branch->substr(11);
    names.push_back(*branch);
    names.push_back("refs/remotes/origin/" + name);
    if (!text.starts_with("refs/heads/")) {
        names.push_back("refs/tags/" + name);
        names.push_back("refs/remotes/" + name);
        if (text.size() >= 7 && text.size() < 40 && is_hex(text)) {
            names.push_back(text);
        }
    }
    return names;
}

}    // namespace

Result<Repository> find_repository(const std::filesystem::path& from, const Context& ctx) {
    Call call = caller_call(from);
    call.args = {"rev-parse",
                 "--path-format=absolute",
                 "--show-toplevel",
                 "--git-common-dir",
                 "--is-shallow-repository",
                 "--show-object-format",
                 "--symbolic-full-name",
                 "HEAD"};
    TRY_ASSIGN(const process::Output output, run_git(call, ctx));
    const auto lines = split(output.out, '\n');
    // Without a commit git prints all lines but the last and fails for HEAD.
    const bool unborn = output.exit_code != 0 && lines.size() >= 5;
    if (output.exit_code != 0 && !unborn) {
        return tl::unexpected(git_error("no repository at " + from.string(), output));
    }
    if (lines[3] != "sha1") {
        return fail(Code::invalid, "the repository uses " + printable(lines[3]) +
                                       " object names; only sha1 is supported");
    }
    Repository found;
    found.root = lines[0];
    found.common_dir = lines[1];
    found.shallow = lines[2] == "true";
    found.branch = unborn || lines[4] == "HEAD" ? "" : lines[4];
    if (!found.root.is_absolute() || !found.common_dir.is_absolute()) {
        return fail(Code::invalid, "the repository's path holds a line break");
    }
    if (unborn) {
        call.args = {"symbolic-ref", "-q", "HEAD"};
        TRY_ASSIGN(const process::Output head, run_git(call, ctx));
        found.branch = trim(head.out);
    }
    call.args = {"config", "--get", "remote.origin.url"};
    TRY_ASSIGN(const process::Output url, run_git(call, ctx));
    found.remote = without_credentials(std::string(trim(url.out)));
    TRY_ASSIGN(found.default_branch, find_default_branch(call, found.branch, ctx));
    return found;
}

Result<std::string> resolve(const Repository& repository, const std::string& ref,
                            const Context& ctx) {
    const Call base = caller_call(repository.root);
    TRY_ASSIGN(const auto names, candidates(ref));
    TRY_ASSIGN(const auto found, find_commits(base, names, ctx));
    for (const auto& commit : found) {
        if (commit) {
            return *commit;
        }
    }
    const auto branches = branch_names(base, ctx);
    const std::vector<std::string_view> known(branches.begin(), branches.end());
    std::string hint = "'git branch -a' shows what there is";
    if (const auto close = suggest(ref, known)) {
        hint = "did you mean '" + printable(*close) + "'?";
    } else if (!branches.empty()) {
        std::vector<std::string> some(
            branches.begin(), branches.begin() + std::min<std::ptrdiff_t>(5, std::ssize(branches)));
        hint = "the newest branches are " + printable(join(some, ", "));
    }
    return fail(Code::not_found, "no branch, tag or commit is called '" + printable(ref) + "'",
                std::move(hint));
}

Result<std::string> read_blob(const Repository& repository, const std::string& commit,
                              const std::string& path, const Context& ctx) {
    return read_blob_at(caller_call(repository.root), commit, path, ctx);
}

Status write_bundle(const Repository& repository, const std::string& commit,
                    const std::vector<std::string>& have, int out, const Context& ctx) {
    if (repository.shallow) {
        return fail(Code::invalid, "the repository is a shallow clone and cannot be handed on",
                    "git fetch --unshallow");
    }
    return write_bundle_from(caller_call(repository.root), commit, have, out, ctx);
}

}    // namespace seatrial::git
