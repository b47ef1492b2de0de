#include "git/worktree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/text.h"
#include "git/refs.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

constexpr std::string_view git_link = "gitdir: ../git\n";

// A small regular file, or "": links are not followed and a pipe is not waited for, because an
// app may have put anything here.
std::string read_plain(const std::filesystem::path& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return {};
    }
    std::array<char, 4096> text{};
    const ssize_t n = ::read(fd.get(), text.data(), text.size());
    return n > 0 ? std::string(text.data(), static_cast<std::size_t>(n)) : std::string();
}

// tmp + rename, without syncing: after a power cut the worktree is observed as half made.
Status write_plain(const std::filesystem::path& path, std::string_view text) {
    const std::filesystem::path tmp = path.string() + ".st-tmp";
    ::unlink(tmp.c_str());
    {
        const Fd fd(
            ::open(tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!fd) {
            return fail_errno("cannot write " + tmp.string(), errno);
        }
        const ssize_t n = ::write(fd.get(), text.data(), text.size());
        if (n != static_cast<ssize_t>(text.size())) {
            return fail_errno("cannot write " + tmp.string(), n < 0 ? errno : ENOSPC);
        }
        ::fchmod(fd.get(), 0644);    // whatever our umask is, the preview's uid reads it
    }
    if (::rename(tmp.c_str(), path.c_str()) == 0) {
        return {};
    }
    return errno == EISDIR ? fail(Code::conflict, path.string() + " is a folder")
                           : fail_errno("cannot write " + path.string(), errno);
}

Status make_folder(const std::filesystem::path& path) {
    struct stat info{};
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        return fail_errno("cannot make folder " + path.string(), errno);
    }
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return fail(Code::conflict, path.string() + " is in the way and no folder");
    }
    // Whatever our umask is, and whatever an app has done to it.
    return ::chmod(path.c_str(), 0755) == 0 ? Status{}
                                            : fail_errno("cannot open " + path.string(), errno);
}

}    // namespace

std::filesystem::path tree_folder(const std::filesystem::path& folder) {
    return folder / "tree";
}

std::filesystem::path admin_folder(const std::filesystem::path& folder) {
    return folder / "git";
}

Status add_worktree(const std::filesystem::path& folder, const std::filesystem::path& mirror,
                    const std::string& commit) {
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is no commit id");
    }
    const auto admin = admin_folder(folder);
    const auto tree = tree_folder(folder);
    TRY(make_folder(admin));
    TRY(make_folder(tree));
    for (const auto& lock : worktree_locks(folder)) {
        ::unlink(lock.c_str());
    }
    TRY(failpoint("worktree.add.folders"));
    TRY(write_plain(admin / "commondir", mirror.string() + "\n"));
    TRY(write_plain(admin / "HEAD", commit + "\n"));
    TRY(failpoint("worktree.add.admin"));
    return write_plain(tree / ".git", git_link);
}

bool worktree_intact(const std::filesystem::path& folder, const std::filesystem::path& mirror) {
    const auto admin = admin_folder(folder);
    return read_plain(admin / "commondir") == mirror.string() + "\n" &&
           !read_plain(admin / "HEAD").empty() &&
           read_plain(tree_folder(folder) / ".git") == git_link;
}

std::string worktree_head(const std::filesystem::path& folder) {
    const std::string text = read_plain(admin_folder(folder) / "HEAD");
    const auto commit = trim(text);
    return is_commit_id(commit) ? std::string(commit) : std::string();
}

std::vector<std::filesystem::path> worktree_locks(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> locks;
    for (const char* name : {"index.lock", "HEAD.lock", "config.lock"}) {
        const auto path = admin_folder(folder) / name;
        struct stat info{};
        if (::lstat(path.c_str(), &info) == 0) {
            locks.push_back(path);
        }
    }
    return locks;
}

std::vector<std::string> tree_git_env(const std::filesystem::path& tree) {
    // Tree and git folder have one owner, so git trusts them; the entry covers a tree whose
    // top the app has handed to another uid.
    std::vector<std::string> env = config_env({{"safe.directory", tree.string()}});
    const auto closed = closed_env();
    env.insert(env.end(), closed.begin(), closed.end());
    env.insert(env.end(), {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8",
                           // Never a repository above, should the tree's link be gone.
                           "GIT_CEILING_DIRECTORIES=" + tree.parent_path().string()});
    return env;
}

std::vector<std::string> checkout_argv(const std::string& commit) {
    return {"git", "checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit};
}

std::vector<std::string> status_argv() {
    return {"git",
            "status",
            "--porcelain=v2",
            "--branch",
            "--untracked-files=normal",
            "--ignore-submodules=all",
            "--no-renames"};
}

}    // namespace seatrial::git
