#include "process/overlay.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/failpoint.h"

namespace seatrial::process {
namespace {

// A path that means exactly the open folder, whatever its name means by now.
std::string fd_path(const Fd& fd) {
    return "/proc/self/fd/" + std::to_string(fd.get());
}

enum class Mounted { no, overlay, other };

Result<Mounted> look(const Fd& parent, const std::string& name) {
    struct statx info{};
    if (::statx(parent.get(), name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE,
                &info) != 0) {
        return errno == ENOENT ? Result<Mounted>(Mounted::no)
                               : Result<Mounted>(fail_errno("cannot look at a mount", errno));
    }
    if ((info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0) {
        return fail(Code::unavailable, "the kernel does not tell mount points");
    }
    if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
        return Mounted::no;
    }
    const Fd root(::openat(parent.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct statfs type{};
    const bool overlay = root && ::fstatfs(root.get(), &type) == 0 &&
                         static_cast<std::uint64_t>(type.f_type) == OVERLAYFS_SUPER_MAGIC;
    return overlay ? Mounted::overlay : Mounted::other;
}

}    // namespace

Status mount_overlay(const Overlay& overlay, const Fd& parent, const std::string& name) {
    if (::geteuid() != 0) {
        return fail(Code::unavailable, "overlay mounts need root");
    }
    TRY_ASSIGN(const Mounted before, look(parent, name));
    if (before != Mounted::no) {
        return fail(Code::conflict, "something is mounted at '" + name + "' already");
    }
    TRY(failpoint("helper.mount.before"));
    const std::string options = "lowerdir=" + fd_path(overlay.lower) +
                                ",upperdir=" + fd_path(overlay.upper) +
                                ",workdir=" + fd_path(overlay.work);
    const auto mount_with = [&](const char* more) {
        return ::mount("seatrial", fd_path(overlay.target).c_str(), "overlay", MS_NOSUID | MS_NODEV,
                       (options + more).c_str()) == 0;
    };
    // Without redirects a folder of the lower tree cannot be renamed (EXDEV), and package managers
    // do that; kernels before 4.10 do not know them.
    if (!mount_with(",redirect_dir=on") && !(errno == EINVAL && mount_with(""))) {
        return fail(Code::unavailable,
                    "cannot mount an overlay at '" + name + "': " + std::strerror(errno));
    }
    return failpoint("helper.mount.after");
}

Status umount_overlay(const Fd& parent, const std::string& name) {
    // By the folder above: a descriptor of the mount itself would keep it busy.
    const std::string target = fd_path(parent) + "/" + name;
    for (int layers = 0; layers < 16; ++layers) {
        TRY_ASSIGN(const Mounted now, look(parent, name));
        if (now == Mounted::no) {
            return failpoint("helper.umount.after");
        }
        if (now == Mounted::other) {
            return fail(Code::refused, "what is mounted at '" + name + "' is not ours");
        }
        if (::geteuid() != 0) {
            return fail(Code::unavailable, "unmounting needs root");
        }
        TRY(failpoint("helper.umount.before"));
        if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) != 0 &&
            (errno != EBUSY || ::umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0)) {
            return fail_errno("cannot unmount '" + name + "'", errno);
        }
    }
    return fail(Code::conflict, "too many mounts at '" + name + "'");
}

}    // namespace seatrial::process
