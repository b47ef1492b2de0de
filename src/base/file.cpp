#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace seatrial {

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

void Fd::reset() {
    if (fd_ >= 0) {
        ::close(std::exchange(fd_, -1));
    }
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        return fail_errno("cannot open " + path.string(), errno);
    }
    std::string content;
    char buffer[16384];
    while (true) {
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno("cannot read " + path.string(), errno);
        }
        if (n == 0) {
            return content;
        }
        content.append(buffer, static_cast<std::size_t>(n));
        if (content.size() > limit) {
            return fail(Code::invalid,
                        path.string() + " is larger than " + std::to_string(limit) + " bytes");
        }
    }
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view content, mode_t mode) {
    const std::filesystem::path tmp = path.string() + ".tmp";
    {
        const Fd fd(::open(tmp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
        // Whatever the umask says, and whoever left it there.
        if (!fd || ::fchmod(fd.get(), mode) != 0) {
            return fail_errno("cannot write " + tmp.string(), errno);
        }
        while (!content.empty()) {
            const ssize_t n = ::write(fd.get(), content.data(), content.size());
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n < 0) {
                return fail_errno("cannot write " + tmp.string(), errno);
            }
            content.remove_prefix(static_cast<std::size_t>(n));
        }
        if (::fsync(fd.get()) != 0) {
            return fail_errno("cannot sync " + tmp.string(), errno);
        }
    }
    if (::rename(tmp.c_str(), path.c_str()) != 0) {
        return fail_errno("cannot rename to " + path.string(), errno);
    }
    const Fd dir(::open(path.parent_path().empty() ? "." : path.parent_path().c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir || ::fsync(dir.get()) != 0) {
        return fail_errno("cannot sync the folder of " + path.string(), errno);
    }
    return {};
}

Status make_dirs(const std::filesystem::path& path, mode_t mode) {
    if (path.empty() || path == "/") {
        return {};
    }
    if (::mkdir(path.c_str(), mode) == 0) {
        return {};
    }
    if (errno == ENOENT) {
        TRY(make_dirs(path.parent_path(), mode));
        if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) {
            return {};
        }
    } else if (errno == EEXIST) {
        struct stat info{};
        if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
            return {};
        }
    }
    return fail_errno("cannot make folder " + path.string(), errno);
}

}    // namespace seatrial
