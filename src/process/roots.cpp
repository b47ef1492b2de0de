#include "process/roots.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "process/beneath.h"

namespace seatrial::process {
namespace {

// The part of `path` below the worktrees' root, "" when it does not lie there.
std::string below_worktrees(const Roots& roots, const std::string& path) {
    const auto top = roots.worktrees_path + "/";
    return roots.worktrees && path.starts_with(top) ? path.substr(top.size()) : "";
}

tl::unexpected<Error> fault(const std::string& path, const std::string& what,
                            const std::string& remedy) {
    return fail(Code::invalid, "'" + printable(path) + "' " + what, remedy);
}

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

bool is_empty(const Fd& folder) {
    const int fd = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, CloseDir> dir(fd < 0 ? nullptr : ::fdopendir(fd));
    int entries = 0;
    while (dir != nullptr && ::readdir(dir.get()) != nullptr) {
        ++entries;
    }
    return dir != nullptr && entries == 2;
}

struct Step {
    Fd folder;
    bool made = false;
};

// One part further down, made when it is missing.
Result<Step> step_into(const Fd& at, const std::string& name, const std::string& path) {
    Step step;
    step.made = ::mkdirat(at.get(), name.c_str(), 0755) == 0;
    if (!step.made && errno != EEXIST) {
        return fault(path, std::string("cannot be made: ") + std::strerror(errno),
                     "make it, owned by the user the daemon runs as, or choose another folder");
    }
    step.folder =
        Fd(::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (step.folder) {
        return step;
    }
    return errno == ENOTDIR || errno == ELOOP
               ? fault(path, "is a link or no folder", "write the real path of a folder")
               : fault(path, std::string("cannot be opened: ") + std::strerror(errno),
                       "choose a folder that the daemon can reach");
}

// Nobody but `uid` may put anything into it.
Status take_over(const Step& last, const std::string& path, uid_t uid, gid_t gid) {
    struct stat info{};
    if (!last.folder || ::fstat(last.folder.get(), &info) != 0) {
        return fail_errno("cannot look at " + path, errno);
    }
    const bool fresh = last.made || is_empty(last.folder);
    const std::string number = std::to_string(uid);
    if (info.st_uid != uid && !fresh) {
        return fault(path, "belongs to uid " + std::to_string(info.st_uid) + " and is not empty",
                     "choose a folder that is empty or belongs to uid " + number);
    }
    if (info.st_uid != uid &&
        (::geteuid() != 0 || ::fchownat(last.folder.get(), "", uid, gid, AT_EMPTY_PATH) != 0)) {
        return fault(path, "belongs to uid " + std::to_string(info.st_uid),
                     "give it to uid " + number + ": chown " + number + " " + path);
    }
    // Users' programs pass through it and list nothing; what a person has set up stays as it is.
    const std::string self = "/proc/self/fd/" + std::to_string(last.folder.get());
    if (fresh && ::chmod(self.c_str(), 0711) != 0) {
        return fail_errno("cannot set the mode of " + path, errno);
    }
    if (!fresh && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return fault(path, "may be written by other users", "chmod go-w " + path);
    }
    return {};
}

// What a folder on the way must not be.
Status check_passage(const Fd& at, const std::string& here, const std::string& path) {
    struct stat info{};
    if (::fstatat(at.get(), ".git", &info, AT_SYMLINK_NOFOLLOW) == 0) {
        return fault(path, "lies inside the git repository " + here,
                     "choose a folder outside of every repository, for example /srv/previews");
    }
    if (::geteuid() == 0 && ::fstat(at.get(), &info) == 0 && (info.st_mode & S_IXOTH) == 0) {
        return fault(
            path, "lies below " + here + ", which other users cannot enter",
            "previews run as users of their own: choose another folder, or chmod o+x " + here);
    }
    return {};
}

}    // namespace

std::string absolute_path(const Roots& roots, const std::string& path) {
    return path.starts_with('/') ? path : roots.data_path + "/" + path;
}

std::string owner_folder(const Roots& roots, const std::string& path) {
    const bool outside = !below_worktrees(roots, path).empty();
    const std::string top = outside ? roots.worktrees_path : roots.data_path;
    auto end = top.size();
    const auto whole = absolute_path(roots, path) + "/";
    for (int parts = outside ? 1 : 2; parts > 0 && end != std::string::npos; --parts) {
        end = whole.find('/', end + 1);
    }
    return whole.substr(0, end);
}

Result<Fd> open_below(const Roots& roots, const std::string& path, int flags) {
    const auto inside = below_worktrees(roots, path);
    return inside.empty() ? open_below(roots.data, path, flags)
                          : open_below(roots.worktrees, inside, flags);
}

Result<std::pair<Fd, std::string>> open_parent(const Roots& roots, const std::string& path) {
    const auto inside = below_worktrees(roots, path);
    if (inside.empty() || inside.find('/') != std::string::npos) {
        return open_parent(inside.empty() ? roots.data : roots.worktrees,
                           inside.empty() ? path : inside);
    }
    if (inside == "." || inside == "..") {
        return fail(Code::refused, "'" + path + "' is not a plain path");
    }
    return std::pair(Fd(::fcntl(roots.worktrees.get(), F_DUPFD_CLOEXEC, 3)), inside);
}

Result<Fd> adopt_root(const std::string& path, uid_t uid, gid_t gid) {
    if (!path.starts_with('/')) {
        return fault(path, "is not an absolute path", "start it with '/'");
    }
    Step at{Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), false};
    std::string here;
    for (const auto part : split(std::string_view(path).substr(1), '/')) {
        if (part.empty() || part == "." || part == "..") {
            return fault(path, "is not a plain path", "write it out, without '.' and '..'");
        }
        TRY(check_passage(at.folder, here.empty() ? "/" : here, path));
        here += "/" + std::string(part);
        TRY_ASSIGN(at, step_into(at.folder, std::string(part), here));
    }
    TRY(take_over(at, path, uid, gid));
    TRY(check_passage(at.folder, path, path));
    return std::move(at.folder);
}

}    // namespace seatrial::process
