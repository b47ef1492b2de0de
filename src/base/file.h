// Files, so that a crash leaves either the old content or the new.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace seatrial {

// Owns a descriptor. Move only.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void reset();
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// Whole file; `not_found` when absent, `invalid` when larger than `limit` bytes.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);
// tmp + fsync + rename + fsync of the folder.
Status write_file_atomic(const std::filesystem::path& path, std::string_view content,
                         mode_t mode = 0644);
// mkdir -p with `mode` for what it makes.
Status make_dirs(const std::filesystem::path& path, mode_t mode = 0755);

}    // namespace seatrial
