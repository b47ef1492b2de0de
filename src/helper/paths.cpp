#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/names.h"
#include "helper/server.h"

namespace seatrial::helper {

Result<Fd> open_below(const Server& server, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd fd(static_cast<int>(
        ::syscall(SYS_openat2, server.data.get(), path.c_str(), &how, sizeof how)));
    if (fd) {
        return fd;
    }
    if (errno == EXDEV || errno == ELOOP) {
        return fail(Code::refused, "'" + path + "' leaves the data folder or holds a link");
    }
    return fail_errno("cannot open '" + path + "' below the data folder", errno);
}

Result<std::pair<Fd, std::string>> open_parent(const Server& server, const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string leaf = slash == std::string::npos ? "" : path.substr(slash + 1);
    if (leaf.empty() || leaf == "." || leaf == ".." || slash == 0) {
        return fail(Code::refused, "'" + path + "' is not a path inside one of the roots");
    }
    const std::string above = path.substr(0, slash);
    if (std::all_of(above.begin(), above.end(), [](char c) { return c == '.' || c == '/'; })) {
        return fail(Code::refused, "'" + path + "' is not a path inside one of the roots");
    }
    TRY_ASSIGN(Fd parent, open_below(server, above, O_PATH | O_DIRECTORY));
    return std::pair(std::move(parent), leaf);
}

Status check_name(const Server& server, const std::string& name) {
    if (!is_our_name(server.instance, name)) {
        return fail(Code::refused, "'" + name + "' does not carry the mark of this instance");
    }
    return {};
}

}    // namespace seatrial::helper
