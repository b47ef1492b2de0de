#include "process/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"

namespace seatrial::process {
namespace {

// "a/b/c": no empty, "." or ".." part. Beneath the folder ".." would be harmless to others, but
// "previews/../previews" would be a root that looks like something inside one.
bool is_plain(const std::string& path) {
    for (const auto part : split(path, '/')) {
        if (part.empty() || part == "." || part == "..") {
            return false;
        }
    }
    return true;
}

}    // namespace

Result<Fd> open_below(const Fd& top, const std::string& path, int flags) {
    if (!is_plain(path)) {
        return fail(Code::refused, "'" + path + "' is not a plain path in the data folder");
    }
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd fd(static_cast<int>(::syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof how)));
    if (fd) {
        return fd;
    }
    if (errno == EXDEV || errno == ELOOP) {
        return fail(Code::refused, "'" + path + "' leaves the data folder or holds a link");
    }
    return fail_errno("cannot open '" + path + "' below the data folder", errno);
}

Result<std::pair<Fd, std::string>> open_parent(const Fd& top, const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos || !is_plain(path)) {
        return fail(Code::refused, "'" + path + "' is not a plain path inside one of the roots");
    }
    TRY_ASSIGN(Fd parent, open_below(top, path.substr(0, slash), O_PATH | O_DIRECTORY));
    return std::pair(std::move(parent), path.substr(slash + 1));
}

}    // namespace seatrial::process
