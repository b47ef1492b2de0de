#include "git/mirror.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/blob.h"
#include "git/bundle.h"
#include "git/ref_files.h"
#include "git/refs.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

// Written over what git init wrote, so that a mirror never depends on the machine's defaults.
// Other users read it whatever our umask is.
constexpr std::string_view mirror_config =
    "[core]\n"
    "\trepositoryformatversion = 0\n"
    "\tfilemode = true\n"
    "\tbare = true\n"
    "\tsharedRepository = 0644\n"
    "\tlogAllRefUpdates = false\n"
    "\thooksPath = /dev/null\n"
    "[gc]\n"
    "\tauto = 0\n";
constexpr const char* stamp = "seatrial-mirror";

Status check_commit(const std::string& commit) {
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is no commit id");
    }
    return {};
}

Status check_name(const std::string& name) {
    const bool fine = !name.empty() && name.size() <= 64 && name.front() != '-' &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                      });
    if (!fine) {
        return fail(Code::invalid, "'" + printable(name) + "' is no name of ours");
    }
    return {};
}

bool present(const std::filesystem::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0;
}

}    // namespace

Call Mirror::call() const {
    Call call;
    call.cwd = folder_;
    call.env = config_env();
    const auto closed = closed_env();
    call.env.insert(call.env.end(), closed.begin(), closed.end());
    // Given, not discovered: nothing above the folder is ever looked at.
    call.env.push_back("GIT_DIR=" + folder_.string());
    return call;
}

Result<Fd> Mirror::lock(bool alone, const Context& ctx) const {
    const auto path = folder_ / "seatrial.lock";
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) {
        return fail_errno("cannot open " + path.string(), errno);
    }
    // flock() cannot be polled; it is contended only while somebody repairs or tidies.
    for (auto pause = std::chrono::milliseconds(1);;
         pause = std::min(pause * 2, decltype(pause)(20))) {
        if (::flock(fd.get(), (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
            return fd;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail_errno("cannot lock " + path.string(), errno);
        }
        TRY(wait_for(pause, ctx));
    }
}

Status Mirror::ensure(const Context& ctx) const {
    if (present(folder_ / stamp)) {
        return {};
    }
    // Not listable: a preview finds only the mirror that its own worktree names.
    TRY(make_dirs(folder_.parent_path(), 0711));
    TRY(make_dirs(folder_, 0755));
    TRY_ASSIGN(const Fd held, lock(true, ctx));
    if (present(folder_ / stamp)) {
        return {};
    }
    TRY(failpoint("mirror.init.before"));
    Call init = call();
    init.args = {"init",          "--quiet",     "--bare",
                 "--shared=0644", "--template=", "--initial-branch=main"};
    // What a killed init left; we are alone, and without the stamp nothing is in here yet.
    for (const char* file : {"config.lock", "HEAD.lock", "HEAD", "config"}) {
        ::unlink((folder_ / file).c_str());
    }
    TRY(run_git_checked(init, "cannot make the mirror " + folder_.string(), ctx));
    TRY(failpoint("mirror.init.after"));
    TRY(write_file_atomic(folder_ / "config", mirror_config));
    if (::chmod((folder_ / "config").c_str(), 0644) != 0) {
        return fail_errno("cannot open the mirror to others", errno);
    }
    return write_file_atomic(folder_ / stamp, "1\n");
}

Result<bool> Mirror::has_commit(const std::string& commit, const Context& ctx) const {
    TRY(check_commit(commit));
    TRY_ASSIGN(const auto known, tips(ctx));
    if (std::binary_search(known.begin(), known.end(), commit)) {
        return true;
    }
    if (!present(folder_ / stamp)) {
        return false;
    }
    TRY_ASSIGN(const auto found, find_commits(call(), {commit}, ctx));
    return found.front() == commit;
}

Result<std::vector<std::string>> Mirror::tips(const Context& ctx) const {
    TRY(ctx.ok());
    std::set<std::string> commits;
    for (const char* space : {"in", "fetch", "keep", "salvage"}) {
        TRY_ASSIGN(const auto refs, refs_below(folder_, std::string("refs/st/") + space + "/"));
        for (const auto& [name, commit] : refs) {
            if (!commit.empty()) {
                commits.insert(commit);
            }
        }
    }
    return std::vector<std::string>(commits.begin(), commits.end());
}

Status Mirror::change_ref(Call call, const std::string& ref, const std::string& what,
                          const Context& ctx) const {
    process::Output output;
    {
        TRY_ASSIGN(const Fd held, lock(false, ctx));
        TRY_ASSIGN(output, run_git(call, ctx));
    }
    const auto said = [&output](std::string_view words) {
        return output.exit_code != 0 && output.err.find(words) != std::string::npos;
    };
    if (said(".lock': File exists") || said("reference broken")) {
        // Either somebody was at the same ref, or somebody died there. Alone, it is the latter.
        TRY_ASSIGN(const Fd held, lock(true, ctx));
        if (const auto text = seatrial::read_file(folder_ / ref, 4096);
            text && !is_commit_id(trim(*text))) {
            ::unlink((folder_ / ref).c_str());    // torn by a power cut
        }
        ::unlink((folder_ / (ref + ".lock")).c_str());
        ::unlink((folder_ / "packed-refs.lock").c_str());
        TRY_ASSIGN(output, run_git(std::move(call), ctx));
    }
    if (output.exit_code == 0) {
        return {};
    }
    Error error = git_error(what, output);
    if (output.err.find("nonexistent object") != std::string::npos) {
        error.code = Code::not_found;
    }
    return tl::unexpected(std::move(error));
}

Status Mirror::set_ref(const std::string& ref, const std::string& commit,
                       const Context& ctx) const {
    Call update = call();
    update.args = {"update-ref", "--no-deref", ref, commit};
    return change_ref(std::move(update), ref, "cannot keep commit " + commit.substr(0, 12), ctx);
}

Status Mirror::receive_bundle(const std::filesystem::path& bundle, const std::string& commit,
                              const Context& ctx) const {
    TRY(check_commit(commit));
    const Fd fd(::open(bundle.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0) {
        return fail_errno("cannot open the bundle", errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return fail(Code::invalid, "the bundle is no regular file");
    }
    TRY_ASSIGN(const BundleHeader header, read_bundle_header(fd.get()));
    if (std::find(header.tips.begin(), header.tips.end(), commit) == header.tips.end()) {
        return fail(Code::invalid, "the bundle does not carry commit " + commit);
    }
    TRY(failpoint("mirror.receive.before"));
    TRY(index_bundle(call(), fd.get(), header, ctx));
    TRY(failpoint("mirror.receive.indexed"));
    auto set = set_ref("refs/st/in/" + commit, commit, ctx);
    if (!set && set.error().code == Code::not_found) {
        set.error().code = Code::invalid;
    }
    return set;
}

Result<std::string> Mirror::fetch(const std::string& remote, const std::string& branch,
                                  const Context& ctx) const {
    TRY_ASSIGN(const std::string url, parse_remote(remote));
    TRY_ASSIGN(const std::string head, parse_branch(branch));
    TRY(ensure(ctx));
    crypto::Sha256 digest;
    digest.update_field(url);
    digest.update_field(head);
    const std::string ref = "refs/st/fetch/" + digest.finish_hex().substr(0, 40);
    Call fetch = call();
    fetch.env = config_env(fetch_checks());
    const auto closed = closed_env();
    fetch.env.insert(fetch.env.end(), closed.begin(), closed.end());
    // The other end of a fetch from this host is a git of ours in a repository of somebody else;
    // it does not inherit configuration by environment, only the name of a file.
    const auto trust = folder_ / "seatrial-fetch.gitconfig";
    if (!std::filesystem::exists(trust)) {
        // That git itself may talk to nobody, whatever the repository's configuration says.
        TRY(write_file_atomic(trust, "[safe]\n\tdirectory = *\n[protocol]\n\tallow = never\n"));
    }
    fetch.env.push_back("GIT_CONFIG_GLOBAL=" + trust.string());
    fetch.env.push_back("GIT_DIR=" + folder_.string());
    fetch.args = {"fetch",
                  "--quiet",
                  "--force",
                  "--no-tags",
                  "--no-recurse-submodules",
                  "--no-write-fetch-head",
                  "--no-auto-maintenance",
                  "--no-show-forced-updates",
                  "--",
                  url,
                  "+" + head + ":" + ref};
    TRY(failpoint("mirror.fetch.before"));
    auto fetched = change_ref(std::move(fetch), ref, "cannot fetch " + printable(branch), ctx);
    if (!fetched && fetched.error().code == Code::not_found) {
        // Previews end on this answer: only git's own word for an absent branch counts.
        const bool absent =
            fetched.error().message.find("couldn't find remote ref") != std::string::npos;
        fetched.error().code = absent ? Code::not_found : Code::unavailable;
        fetched.error().mark = absent ? "branch" : "";
    }
    TRY(fetched);
    TRY(failpoint("mirror.fetch.after"));
    TRY_ASSIGN(std::string commit, read_ref(folder_, ref));
    if (commit.empty()) {
        return fail(Code::unavailable, "the fetched branch is gone again");
    }
    return commit;
}

Status Mirror::keep_ref(const std::string& name, const std::string& commit,
                        const Context& ctx) const {
    TRY(check_name(name));
    TRY(check_commit(commit));
    return set_ref("refs/st/keep/" + name, commit, ctx);
}

Status Mirror::keep_salvage(const std::string& name, const std::string& commit,
                            const Context& ctx) const {
    TRY(check_name(name));
    TRY(check_commit(commit));
    return set_ref("refs/st/salvage/" + name, commit, ctx);
}

Result<std::string> Mirror::kept_commit(const std::string& name) const {
    TRY(check_name(name));
    return read_ref(folder_, "refs/st/keep/" + name);
}

Status Mirror::delete_ref(const std::string& name, const Context& ctx) const {
    TRY(check_name(name));
    const std::string ref = "refs/st/keep/" + name;
    TRY_ASSIGN(const std::string commit, read_ref(folder_, ref));
    if (commit.empty() && !present(folder_ / ref)) {
        // What a killed update left is nobody's either.
        ::unlink((folder_ / (ref + ".lock")).c_str());
        return {};
    }
    Call drop = call();
    drop.args = {"update-ref", "--no-deref", "-d", ref};
    return change_ref(std::move(drop), ref, "cannot delete " + ref, ctx);
}

Result<std::vector<std::string>> Mirror::list_refs(const Context& ctx) const {
    TRY(ctx.ok());
    TRY_ASSIGN(const auto refs, refs_below(folder_, "refs/st/keep/"));
    std::vector<std::string> names;
    for (const auto& [name, commit] : refs) {
        names.push_back(name);
    }
    return names;
}

Status Mirror::drop_stale_locks(const Context& ctx) const {
    std::vector<std::filesystem::path> stale;
    if (const auto packed = folder_ / "packed-refs.lock"; ::access(packed.c_str(), F_OK) == 0) {
        stale.push_back(packed);
    }
    std::error_code error;    // of a mirror that is half made: it has no refs
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_ / "refs", error)) {
        if (entry.path().extension() == ".lock") {
            stale.push_back(entry.path());
        }
    }
    if (stale.empty()) {
        return {};
    }
    TRY_ASSIGN(const Fd held, lock(true, ctx));
    for (const auto& path : stale) {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
            return fail_errno("cannot remove " + path.string(), errno);
        }
    }
    return {};
}

Status drop_stale_locks(const std::filesystem::path& folder, const Context& ctx) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        TRY(Mirror(entry.path()).drop_stale_locks(ctx));
    }
    return error ? fail_errno("cannot read " + folder.string(), error.value()) : Status();
}

Result<std::string> Mirror::read_blob(const std::string& commit, const std::string& path,
                                      const Context& ctx) const {
    return read_blob_at(call(), commit, path, ctx);
}

}    // namespace seatrial::git
