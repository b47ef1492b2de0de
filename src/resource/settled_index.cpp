#include "resource/settled_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "git/worktree.h"
#include "resource/copy_tree.h"

namespace seatrial::resource {
namespace {

constexpr off_t largest_index = 256 << 20;

// An app may have put anything there: no link is followed, no pipe waited for.
Fd open_index(const std::filesystem::path& folder, struct stat& info) {
    Fd fd(::open((git::admin_folder(folder) / "index").c_str(),
                 O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (fd &&
        (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > largest_index)) {
        fd.reset();
    }
    return fd;
}

std::string identity_of(const struct stat& info) {
    std::string text;
    for (const std::int64_t part :
         {static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino),
          static_cast<std::int64_t>(info.st_size), static_cast<std::int64_t>(info.st_mtim.tv_sec),
          static_cast<std::int64_t>(info.st_mtim.tv_nsec),
          static_cast<std::int64_t>(info.st_ctim.tv_sec),
          static_cast<std::int64_t>(info.st_ctim.tv_nsec)}) {
        text += std::to_string(part) + " ";
    }
    return text;
}

}    // namespace

std::string index_identity(const std::filesystem::path& folder) {
    struct stat info{};
    return open_index(folder, info) ? identity_of(info) : "";
}

timespec index_time(const std::filesystem::path& folder) {
    struct stat info{};
    return open_index(folder, info) ? info.st_mtim : timespec{};
}

bool copy_settled_index(const std::filesystem::path& folder, const std::string& identity,
                        const TreeSize& size, const std::filesystem::path& to) {
    struct stat info{};
    const Fd from = open_index(folder, info);
    // A file system without parts of a second tells of no change within one.
    if (!from || identity != identity_of(info) || size.touched || info.st_mtim.tv_nsec == 0 ||
        size.since.tv_sec != info.st_mtim.tv_sec || size.since.tv_nsec != info.st_mtim.tv_nsec) {
        return false;
    }
    ::unlink(to.c_str());
    const Fd copy(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    const timespec later[2] = {{info.st_mtim.tv_sec + 1, 0}, {info.st_mtim.tv_sec + 1, 0}};
    return copy && copy_content(from, copy) && ::fchmod(copy.get(), 0644) == 0 &&
           ::futimens(copy.get(), later) == 0 && identity == index_identity(folder);
}

}    // namespace seatrial::resource
