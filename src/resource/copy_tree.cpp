#include "resource/copy_tree.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/text.h"
#include "resource/folders.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t chunk = 1 << 20;

Status write_rest(const Fd& from, const Fd& to) {
    std::vector<char> buffer(chunk);
    while (true) {
        const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
        if (got == 0) {
            return {};
        }
        if (got < 0 && errno != EINTR) {
            return fail_errno("cannot read", errno);
        }
        for (ssize_t at = 0; at < got;) {
            const ssize_t done =
                ::write(to.get(), buffer.data() + at, static_cast<std::size_t>(got - at));
            if (done < 0 && errno != EINTR) {
                return fail_errno("cannot write", errno);
            }
            at += done < 0 ? 0 : done;
        }
    }
}

struct Copier {
    const Context& ctx;
    Copied done;

    Status file(const Fd& from, const Fd& to, const std::string& name, const struct stat& info) {
        const Fd source(::openat(from.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        const Fd target(::openat(to.get(), name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!source || !target) {
            return fail_errno("cannot copy '" + printable(name) + "'", errno);
        }
        TRY_ASSIGN(const bool cloned, copy_content(source, target));
        const timespec times[2] = {info.st_atim, info.st_mtim};
        if (::fchmod(target.get(), info.st_mode & 0777) != 0 ||
            ::futimens(target.get(), times) != 0) {
            return fail_errno("cannot copy '" + printable(name) + "'", errno);
        }
        ++done.files;
        done.bytes += info.st_size;
        done.cloned = done.cloned && cloned;
        return {};
    }

    static Status link(const Fd& from, const Fd& to, const std::string& name,
                       const struct stat& info) {
        std::string target(static_cast<std::size_t>(info.st_size) + 1, '\0');
        const ssize_t size = ::readlinkat(from.get(), name.c_str(), target.data(), target.size());
        if (size < 0 || size > info.st_size) {
            return fail_errno("cannot copy link '" + printable(name) + "'", errno);
        }
        target.resize(static_cast<std::size_t>(size));
        const timespec times[2] = {info.st_atim, info.st_mtim};
        if (::symlinkat(target.c_str(), to.get(), name.c_str()) != 0 ||
            ::utimensat(to.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
            return fail_errno("cannot copy link '" + printable(name) + "'", errno);
        }
        return {};
    }

    Status folder(const Fd& from, const Fd& to, const std::string& name, const struct stat& info,
                  int depth) {
        if (depth >= deepest_folder) {
            return fail(Code::failed, "the tree is nested too deeply");
        }
        TRY_ASSIGN(const Fd source, open_beneath(from, name));
        if (::mkdirat(to.get(), name.c_str(), 0700) != 0) {
            return fail_errno("cannot make folder '" + printable(name) + "'", errno);
        }
        TRY_ASSIGN(const Fd target, open_beneath(to, name));
        TRY(content(source, target, depth));
        const timespec times[2] = {info.st_atim, info.st_mtim};
        if (::fchmod(target.get(), info.st_mode & 0777) != 0 ||
            ::futimens(target.get(), times) != 0) {
            return fail_errno("cannot copy folder '" + printable(name) + "'", errno);
        }
        return {};
    }

    Status content(const Fd& from, const Fd& to, int depth) {
        TRY(ctx.ok());
        TRY_ASSIGN(const auto names, entries_of(from));
        for (const auto& name : names) {
            struct stat info{};
            if (::fstatat(from.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
                return fail_errno("cannot look at '" + printable(name) + "'", errno);
            }
            if (S_ISREG(info.st_mode)) {
                TRY(file(from, to, name, info));
            } else if (S_ISLNK(info.st_mode)) {
                TRY(link(from, to, name, info));
            } else if (S_ISDIR(info.st_mode)) {
                TRY(folder(from, to, name, info, depth + 1));
            }
        }
        return {};
    }
};

}    // namespace

Result<bool> copy_content(const Fd& from, const Fd& to) {
    if (::ioctl(to.get(), FICLONE, from.get()) == 0) {
        return true;
    }
    // In the kernel where it can; it may also stop short of the end, or not begin at all.
    while (::copy_file_range(from.get(), nullptr, to.get(), nullptr, chunk, 0) > 0) {
    }
    TRY(write_rest(from, to));
    return false;
}

Result<Copied> copy_tree(const std::filesystem::path& from, const std::filesystem::path& to,
                         const Context& ctx) {
    TRY_ASSIGN(const Fd source, open_folder(from));
    TRY_ASSIGN(const Fd parent, open_folder(to.parent_path()));
    struct stat info{};
    if (::fstat(source.get(), &info) != 0 ||
        ::mkdirat(parent.get(), to.filename().c_str(), 0700) != 0) {
        return fail_errno("cannot make folder " + to.string(), errno);
    }
    TRY_ASSIGN(const Fd target, open_beneath(parent, to.filename().string()));
    Copier copier{ctx, {}};
    copier.done.cloned = true;
    TRY(copier.content(source, target, 0));
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (::fchmod(target.get(), info.st_mode & 0777) != 0 || ::futimens(target.get(), times) != 0) {
        return fail_errno("cannot copy folder " + from.string(), errno);
    }
    return copier.done;
}

}    // namespace seatrial::resource
