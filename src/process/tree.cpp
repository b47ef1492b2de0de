#include "process/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/failpoint.h"

namespace seatrial::process {
namespace {

// Folders deeper than this are refused by own and flattened by remove, so that a hostile tree
// exhausts neither descriptors nor stack.
constexpr int deepest = 200;
constexpr int flatten_at = 32;

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

// Reads a folder through a descriptor of its own; `folder` stays usable.
Result<Dir> read_folder(const Fd& folder) {
    const int fd = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Dir dir(fd < 0 ? nullptr : ::fdopendir(fd));
    if (dir == nullptr) {
        return fail_errno("cannot read a folder", errno);
    }
    return dir;
}

// The next entry but "." and ".."; null at the end.
const char* next_name(const Dir& dir) {
    while (const dirent* entry = ::readdir(dir.get())) {
        const char* name = static_cast<const char*>(entry->d_name);
        const std::string_view view(name);
        if (view != "." && view != "..") {
            return name;
        }
    }
    return nullptr;
}

// ---- own

struct Owner {
    const Ownership& to;
    dev_t device;
};

// Only what belongs to the daemon or to one of our slots changes hands, and a file with
// several names only if nobody else can hold one of them: another user's file, brought in by a
// hard link, stays his.
bool may_own(const Ownership& to, const struct stat& info) {
    if (S_ISBLK(info.st_mode) || S_ISCHR(info.st_mode)) {
        return false;
    }
    const bool of_a_slot = info.st_uid >= to.first_slot && info.st_uid <= to.last_slot;
    const bool many_names = !S_ISDIR(info.st_mode) && info.st_nlink > 1;
    return info.st_uid == to.daemon || info.st_uid == to.uid ||
           (of_a_slot && (!many_names || to.uid == to.daemon));
}

Status own_entry(const Owner& owner, const Fd& folder, const char* name, int depth) {
    // Everything happens on this descriptor: the name may mean something else a moment later.
    const Fd entry(::openat(folder.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info{};
    if (!entry || ::fstat(entry.get(), &info) != 0) {
        return errno == ENOENT ? Status{} : fail_errno("cannot open a file of the tree", errno);
    }
    const Ownership& to = owner.to;
    if (info.st_dev != owner.device) {
        return {};    // another file system is mounted here: not part of the tree
    }
    if (info.st_uid != to.uid || info.st_gid != to.gid) {
        if (!may_own(to, info)) {
            return fail(Code::refused, "'" + std::string(name) + "' belongs to uid " +
                                           std::to_string(info.st_uid) +
                                           ", who is none of ours, or has another name elsewhere");
        }
        if (::fchownat(entry.get(), "", to.uid, to.gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
            return fail_errno("cannot change the owner", errno);
        }
    }
    if (!S_ISDIR(info.st_mode)) {
        return {};
    }
    if (depth >= deepest) {
        return fail(Code::refused, "the tree is nested too deeply");
    }
    TRY_ASSIGN(const Dir dir, read_folder(entry));
    while (const char* below = next_name(dir)) {
        TRY(own_entry(owner, entry, below, depth + 1));
    }
    return {};
}

// ---- remove

struct Remover {
    const Fd& top;    // of the tree: where too deep folders are moved
    unsigned moved = 0;
};

Result<Fd> open_folder(const Fd& parent, const char* name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    for (bool again = true;; again = false) {
        Fd fd(static_cast<int>(::syscall(SYS_openat2, parent.get(), name, &how, sizeof how)));
        if (fd) {
            return fd;
        }
        if (errno == EXDEV) {
            return fail(Code::conflict, "'" + std::string(name) + "' is a mount point",
                        "unmount it first");
        }
        // Without root, a folder that its owner closed to himself is opened again. Never as
        // root: this call follows links.
        if (errno != EACCES || !again || ::geteuid() == 0 ||
            ::fchmodat(parent.get(), name, 0700, 0) != 0) {
            return fail_errno("cannot open folder '" + std::string(name) + "'", errno);
        }
    }
}

Status empty_folder(Remover& remover, const Fd& folder, int depth);

Status remove_entry(Remover& remover, const Fd& parent, const char* name, int depth) {
    if (::unlinkat(parent.get(), name, 0) == 0 || errno == ENOENT) {
        return {};
    }
    if (errno != EISDIR && errno != EPERM && errno != EACCES) {
        return fail_errno("cannot remove '" + std::string(name) + "'", errno);
    }
    if (::unlinkat(parent.get(), name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        return {};
    }
    if (depth >= flatten_at) {
        const std::string aside = ".seatrial-" + std::to_string(remover.moved++);
        if (::renameat(parent.get(), name, remover.top.get(), aside.c_str()) == 0) {
            return {};    // met again as an entry of the top
        }
    }
    TRY_ASSIGN(const Fd folder, open_folder(parent, name));
    TRY(empty_folder(remover, folder, depth));
    if (::unlinkat(parent.get(), name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return fail_errno("cannot remove folder '" + std::string(name) + "'", errno);
    }
    return {};
}

Status empty_folder(Remover& remover, const Fd& folder, int depth) {
    // Until a reading finds nothing: entries may be moved here while it is read.
    for (bool found = true; found;) {
        found = false;
        struct stat info{};
        if (::fstat(folder.get(), &info) == 0 && (info.st_mode & 0300) != 0300) {
            ::fchmod(folder.get(), 0700);    // without root: a folder its owner closed
        }
        TRY_ASSIGN(const Dir dir, read_folder(folder));
        while (const char* name = next_name(dir)) {
            found = true;
            TRY(remove_entry(remover, folder, name, depth + 1));
        }
    }
    return failpoint("helper.remove.folder");
}

}    // namespace

Status own_tree(const Fd& parent, const std::string& name, const Ownership& to) {
    struct stat info{};
    if (::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("cannot find '" + name + "'", errno);
    }
    TRY(failpoint("helper.own.before"));
    TRY(own_entry({to, info.st_dev}, parent, name.c_str(), 0));
    return failpoint("helper.own.after");
}

Status remove_tree(const Fd& parent, const std::string& name) {
    TRY(failpoint("helper.remove.before"));
    if (::unlinkat(parent.get(), name.c_str(), 0) == 0 || errno == ENOENT) {
        return {};
    }
    TRY_ASSIGN(const Fd top, open_folder(parent, name.c_str()));
    Remover remover{top};
    TRY(empty_folder(remover, top, 0));
    if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return fail_errno("cannot remove '" + name + "'", errno);
    }
    return failpoint("helper.remove.after");
}

}    // namespace seatrial::process
