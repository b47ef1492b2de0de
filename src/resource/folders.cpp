#include "resource/folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/text.h"

namespace seatrial::resource {
namespace {

constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

bool is_plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

Fd open_one(const Fd& parent, const std::string& name) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(folder_flags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    return Fd(
        static_cast<int>(::syscall(SYS_openat2, parent.get(), name.c_str(), &how, sizeof how)));
}

void measure(const Fd& folder, dev_t device, int depth, TreeSize& size, const Context& ctx) {
    const auto names = entries_of(folder);
    if (!names || ctx.cancelled()) {
        size.touched = true;
        return;
    }
    for (const auto& name : *names) {
        struct stat info{};
        if (::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            size.touched = true;
            continue;
        }
        if (info.st_dev != device) {
            continue;
        }
        size.bytes += info.st_blocks * 512;
        if (!S_ISDIR(info.st_mode)) {
            ++size.files;
            size.touched = size.touched || (info.st_ctim.tv_sec == size.since.tv_sec &&
                                            info.st_ctim.tv_nsec > size.since.tv_nsec);
            continue;
        }
        const Fd below(depth < deepest_folder ? ::openat(folder.get(), name.c_str(), folder_flags)
                                              : -1);
        if (below) {
            measure(below, device, depth + 1, size, ctx);
        } else {
            size.touched = true;
        }
    }
}

}    // namespace

Result<Fd> open_folder(const std::filesystem::path& path) {
    Fd fd(::open(path.c_str(), folder_flags));
    if (!fd) {
        return fail_errno("cannot open folder " + path.string(), errno);
    }
    return fd;
}

Result<Fd> open_beneath(const Fd& root, const std::string& path, bool make) {
    Fd at(::openat(root.get(), ".", folder_flags));
    if (!at) {
        return fail_errno("cannot open a folder", errno);
    }
    if (path.empty()) {
        return at;
    }
    for (const auto part : split(path, '/')) {
        if (!is_plain_name(part)) {
            return fail(Code::invalid, "'" + printable(path) + "' is no path below a folder");
        }
        const std::string name(part);
        if (make && ::mkdirat(at.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
            return fail_errno("cannot make folder " + printable(path), errno);
        }
        Fd next = open_one(at, name);
        if (!next && (errno == ELOOP || errno == ENOTDIR)) {
            return fail(Code::refused, "'" + name + "' in '" + printable(path) +
                                           "' is a link or a file, not a folder");
        }
        if (!next) {
            return fail_errno("cannot open folder " + printable(path), errno);
        }
        at = std::move(next);
    }
    return at;
}

Result<std::vector<std::string>> entries_of(const Fd& folder) {
    const int fd = ::openat(folder.get(), ".", folder_flags);
    const std::unique_ptr<DIR, CloseDir> dir(fd < 0 ? nullptr : ::fdopendir(fd));
    if (dir == nullptr) {
        return fail_errno("cannot read a folder", errno);
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir.get())) {
        const std::string_view name(static_cast<const char*>(entry->d_name));
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

Status add_mode(const Fd& folder, const std::string& name, mode_t bits) {
    const Fd entry(::openat(folder.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info{};
    if (!entry || ::fstat(entry.get(), &info) != 0) {
        return fail_errno("cannot open '" + printable(name) + "'", errno);
    }
    const mode_t wanted = (info.st_mode & 0777) | bits;
    if (S_ISLNK(info.st_mode) || (info.st_mode & 07777) == wanted) {
        return {};
    }
    const std::string path = "/proc/self/fd/" + std::to_string(entry.get());
    return ::chmod(path.c_str(), wanted) == 0
               ? Status{}
               : fail_errno("cannot change the mode of '" + printable(name) + "'", errno);
}

TreeSize measure_tree(const std::filesystem::path& path, const Context& ctx, timespec since) {
    TreeSize size;
    size.since = since;
    const auto folder = open_folder(path);
    struct stat info{};
    if (folder && ::fstat(folder->get(), &info) == 0) {
        size.touched = false;
        measure(*folder, info.st_dev, 0, size, ctx);
    }
    return size;
}

Status drop_to_trash(const std::filesystem::path& path, const std::filesystem::path& trash) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) {
        return errno == ENOENT ? Status{} : fail_errno("cannot look at " + path.string(), errno);
    }
    TRY(make_dirs(trash, 0700));
    for (int number = 0; number < 1'000'000; ++number) {
        const auto target = trash / (path.filename().string() + "-" + std::to_string(number));
        // Never onto something that lies there, not even onto an empty folder.
        if (::syscall(SYS_renameat2, AT_FDCWD, path.c_str(), AT_FDCWD, target.c_str(),
                      RENAME_NOREPLACE) == 0) {
            return {};
        }
        if (errno == ENOENT) {
            return {};
        }
        if (errno != EEXIST) {
            return fail_errno("cannot move " + path.string() + " to the trash", errno);
        }
    }
    return fail(Code::unavailable, "the trash is full", "run `seatrial cleanup`");
}

Result<TreeSize> move_to_trash(const std::filesystem::path& path,
                               const std::filesystem::path& trash, const Context& ctx) {
    const TreeSize size = measure_tree(path, ctx);
    TRY(drop_to_trash(path, trash));
    return size;
}

Status replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    const std::filesystem::path tmp = path.string() + ".tmp";
    ::unlink(tmp.c_str());
    {
        const Fd fd(
            ::open(tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
        if (!fd) {
            return fail_errno("cannot write " + tmp.string(), errno);
        }
        const ssize_t done = ::write(fd.get(), text.data(), text.size());
        if (done != static_cast<ssize_t>(text.size())) {
            return fail_errno("cannot write " + tmp.string(), done < 0 ? errno : ENOSPC);
        }
    }
    return ::rename(tmp.c_str(), path.c_str()) == 0
               ? Status{}
               : fail_errno("cannot write " + path.string(), errno);
}

}    // namespace seatrial::resource
