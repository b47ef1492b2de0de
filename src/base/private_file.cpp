#include "base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

namespace seatrial {

Result<std::string> read_private_file(const std::filesystem::path& path, std::size_t limit) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return fail(Code::invalid, path.string() + " cannot be read",
                    "it must be a file that the daemon's user can read: chown it to that user");
    }
    if ((info.st_mode & 077U) != 0 || (info.st_uid != 0 && info.st_uid != ::geteuid())) {
        return fail(Code::refused, "others can read or change " + path.string(),
                    "`chmod 600` it, and chown it to the daemon's user");
    }
    std::string text(limit + 1, '\0');
    std::size_t size = 0;
    for (ssize_t n = 1; n != 0 && size < text.size();) {
        n = ::read(fd.get(), text.data() + size, text.size() - size);
        if (n < 0 && errno != EINTR) {
            return fail_errno("cannot read " + path.string(), errno);
        }
        size += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
    if (size > limit) {
        return fail(Code::invalid,
                    path.string() + " is larger than " + std::to_string(limit) + " bytes");
    }
    text.resize(size);
    return text;
}

}    // namespace seatrial
