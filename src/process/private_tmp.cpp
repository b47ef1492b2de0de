#include "process/private_tmp.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"

namespace seatrial::process {
namespace {

Fd make_tmpfs() {
    const Fd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (!context || ::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "1777", 0) != 0 ||
        ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
        return Fd();
    }
    return Fd(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
}

Fd clone_mount(int at, const char* path, unsigned flags) {
    return Fd(::open_tree(
        at, path,
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | static_cast<unsigned>(AT_NO_AUTOMOUNT) | flags));
}

bool attach(const Fd& mount, const char* path) {
    return ::move_mount(mount.get(), "", AT_FDCWD, path,
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) == 0;
}

bool is_below(const std::string& path, const std::string& top) {
    return path == top || path.starts_with(top + "/");
}

// Mount points of overlays that we made, but for those below `own`.
std::vector<std::string> overlays_of_others(const std::string& own) {
    std::vector<std::string> points;
    const auto table = read_file("/proc/self/mountinfo", 64 << 20);
    for (const auto line : split(table ? std::string_view(*table) : "", '\n')) {
        const auto words = split(line, ' ');
        // Names of ours hold nothing that the table would write as \ooo.
        if (line.find(" - overlay seatrial ") != std::string_view::npos && words.size() > 4 &&
            words[4].find('\\') == std::string_view::npos &&
            !is_below(std::string(words[4]), own)) {
            points.emplace_back(words[4]);
        }
    }
    return points;
}

// Each umount waits for all processors: they are moved to one place and leave together.
bool let_go(const std::vector<std::string>& points) {
    constexpr const char* heap = "/proc";
    if (points.empty()) {
        return true;
    }
    if (::mount("none", heap, "tmpfs", 0, nullptr) != 0) {
        return false;
    }
    int number = 0;
    for (const auto& point : points) {
        const std::string to = heap + ("/" + std::to_string(number++));
        // One that has gone meanwhile is no loss.
        if (::mkdir(to.c_str(), 0700) == 0) {
            ::mount(point.c_str(), to.c_str(), nullptr, MS_MOVE, nullptr);
        }
    }
    return ::umount2(heap, MNT_DETACH) == 0;
}

struct Kept {
    std::string path;
    Fd mount;
};

bool same_folder(const Fd& a, int b) {
    struct stat one{};
    struct stat other{};
    return ::fstat(a.get(), &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

// Copies of what lies in a private folder and must be seen all the same.
bool keep(const PrivateView& view, std::vector<Kept>& kept) {
    for (const auto& [path, folder] : view.roots) {
        if (!is_private(path)) {
            continue;
        }
        Fd mount = clone_mount(AT_FDCWD, path.c_str(), AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
        if (!mount || !same_folder(mount, folder)) {
            errno = mount ? ESTALE : errno;
            return false;
        }
        kept.push_back({path, std::move(mount)});
    }
    for (const auto& path : view.shown) {
        // By the rights of the run's user: the same as without a private folder.
        ::setfsgid(view.gid);
        ::setfsuid(view.uid);
        const Fd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        ::setfsuid(0);
        ::setfsgid(0);
        Fd mount = folder ? clone_mount(folder.get(), "", AT_EMPTY_PATH) : Fd();
        if (mount) {
            kept.push_back({path, std::move(mount)});
        }
    }
    return true;
}

// The app may have put anything where the mount point goes: no link is followed.
bool put_back(const Kept& kept) {
    std::string top;
    for (const char* each : private_folders) {
        top = is_below(kept.path, each) ? each : top;
    }
    if (kept.path.size() <= top.size() + 1) {
        return true;    // the whole folder is what is replaced
    }
    Fd at(::open(top.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (const auto part : split(std::string_view(kept.path).substr(top.size() + 1), '/')) {
        const std::string name(part);
        if (::mkdirat(at.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
            return false;
        }
        at = Fd(::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    return ::move_mount(kept.mount.get(), "", at.get(), "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

bool cover(const PrivateTmp& mounts) {
    if (!attach(mounts.tmp, "/tmp")) {
        return false;
    }
    const Fd second = clone_mount(AT_FDCWD, "/tmp", 0);
    // Small systems lack them; then nobody can write there either.
    return second && (attach(second, "/var/tmp") || errno == ENOENT) &&
           (attach(mounts.shm, "/dev/shm") || errno == ENOENT);
}

bool leave_namespace() {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
}

}    // namespace

bool is_private(const std::string& path) {
    return std::any_of(std::begin(private_folders), std::end(private_folders),
                       [&](const char* each) { return is_below(path, each); });
}

Result<PrivateTmp> make_private_tmp(const Fd& folder) {
    PrivateTmp made;
    made.tmp = folder ? clone_mount(folder.get(), "", AT_EMPTY_PATH) : make_tmpfs();
    made.shm = made.tmp ? make_tmpfs() : Fd();
    if (!made.shm) {
        return fail_errno("cannot make a private /tmp", errno);
    }
    return made;
}

bool enter_private_tmp(const PrivateView& view) {
    std::vector<Kept> kept;
    return leave_namespace() && let_go(overlays_of_others(view.own)) && keep(view, kept) &&
           cover(*view.mounts) && std::all_of(kept.begin(), kept.end(), put_back);
}

Fd reopen_folder(const std::string& path, int fd) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd folder(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
    if (folder && !same_folder(folder, fd)) {
        errno = ESTALE;
        return Fd();
    }
    return folder;
}

bool can_have_private_tmp() {
    const auto made = make_private_tmp(Fd());
    const pid_t child = made ? ::fork() : -1;
    if (child == 0) {
        ::_exit(leave_namespace() && cover(*made) ? 0 : 1);
    }
    siginfo_t info{};
    return child > 0 && ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED) == 0 &&
           info.si_status == 0;
}

}    // namespace seatrial::process
