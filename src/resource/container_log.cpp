#include "resource/container_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <limits>

#include "base/file.h"
#include "docker/containers.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t cursor_limit = 256;
constexpr std::size_t longest_line = 64 << 10;

// "2026-01-31T12:00:00.123456789Z" → "SECONDS.NANOSECONDS" a nanosecond later; "" for other text.
std::string after(const std::string& stamp) {
    std::tm time{};
    const char* rest = ::strptime(stamp.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
    if (rest == nullptr) {
        return {};
    }
    std::int64_t nanoseconds = 0;
    std::int64_t unit = 100'000'000;
    if (*rest == '.') {
        for (++rest; *rest >= '0' && *rest <= '9' && unit > 0; ++rest, unit /= 10) {
            nanoseconds += (*rest - '0') * unit;
        }
    }
    std::int64_t seconds = ::timegm(&time);
    if (++nanoseconds == 1'000'000'000) {
        nanoseconds = 0;
        ++seconds;
    }
    const std::string digits = std::to_string(nanoseconds);
    return std::to_string(seconds) + "." + std::string(9 - digits.size(), '0') + digits;
}

Status append(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno != EINTR) {
            return fail_errno("cannot write a log", errno);
        }
        text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    }
    return {};
}

// Whole lines to the end of the file; the stamp in front of each is taken off and remembered.
class Writer {
public:
    Writer(const LogCopy& copy, Fd file) : copy_(copy), file_(std::move(file)) {
        struct stat info{};
        size_ = ::fstat(file_.get(), &info) == 0 ? info.st_size : 0;
    }
    bool add(docker::Stream stream, std::string_view text) {
        std::string& held = held_.at(stream == docker::Stream::err ? 1 : 0);
        held += text;
        std::string lines;
        for (std::size_t end = held.find('\n'); end != std::string::npos; end = held.find('\n')) {
            take(held.substr(0, end + 1), lines);
            held.erase(0, end + 1);
        }
        if (held.size() > longest_line) {
            take(std::exchange(held, {}), lines);
        }
        return write(lines) && (!copy_.wanted || copy_.wanted());
    }
    // What has no end of line.
    void finish() {
        std::string lines;
        for (std::string& held : held_) {
            if (!held.empty()) {
                take(held + "\n", lines);
            }
        }
        write(lines);
    }
    const std::string& last() const { return last_; }
    const Status& status() const { return status_; }

private:
    void take(std::string line, std::string& lines) {
        const std::size_t space = line.find(' ');
        const std::string next = space == std::string::npos ? "" : after(line.substr(0, space));
        if (!next.empty()) {
            // Both streams come in order of time, but for what is held back.
            last_ = std::max(last_, next);
            line.erase(0, space + 1);
        }
        lines += line;
    }
    bool write(const std::string& lines) {
        if (lines.empty() || size_ >= copy_.limit_bytes) {
            return true;
        }
        std::string text = lines;
        if (size_ + static_cast<std::int64_t>(text.size()) >= copy_.limit_bytes) {
            text = "the log is full (" + std::to_string(copy_.limit_bytes) +
                   " bytes): further output is dropped\n";
            size_ = copy_.limit_bytes;
        }
        status_ = append(file_.get(), text);
        size_ += static_cast<std::int64_t>(text.size());
        return status_.has_value();
    }

    const LogCopy& copy_;
    Fd file_;
    std::int64_t size_ = 0;
    std::array<std::string, 2> held_;
    std::string last_;
    Status status_;
};

}    // namespace

Status copy_container_log(docker::Engine& engine, const std::string& container, const LogCopy& copy,
                          const Context& ctx) {
    TRY(make_dirs(copy.file.parent_path(), 0700));
    const Fd cursor(::open((copy.file.string() + ".at").c_str(),
                           O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!cursor) {
        return fail_errno("cannot open the place of a log", errno);
    }
    if (::flock(cursor.get(), LOCK_EX | LOCK_NB) != 0) {
        return {};
    }
    const auto found = docker::inspect_container(engine, container, ctx);
    if (!found) {
        return found.error().code == Code::not_found ? Status() : tl::unexpected(found.error());
    }
    std::array<char, cursor_limit> text{};
    const ssize_t size = ::pread(cursor.get(), text.data(), text.size(), 0);
    const std::string known(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    docker::LogOptions options;
    options.timestamps = true;
    options.follow = copy.follow;
    options.limit_bytes =
        copy.follow ? std::numeric_limits<std::int64_t>::max() : 2 * copy.limit_bytes;
    if (known.starts_with(found->id + " ")) {
        options.since = known.substr(found->id.size() + 1);
    }
    Fd file(
        ::open(copy.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
        return fail_errno("cannot open " + copy.file.string(), errno);
    }
    Writer writer(copy, std::move(file));
    const Status read = docker::read_logs(
        engine, found->id, options,
        [&](docker::Stream stream, std::string_view part) { return writer.add(stream, part); },
        ctx);
    if (!copy.follow) {
        writer.finish();
    }
    if (!writer.last().empty()) {
        const std::string place = found->id + " " + writer.last();
        if (::ftruncate(cursor.get(), 0) != 0 ||
            ::pwrite(cursor.get(), place.data(), place.size(), 0) !=
                static_cast<ssize_t>(place.size())) {
            return fail_errno("cannot write the place of a log", errno);
        }
    }
    TRY(writer.status());
    return read;
}

}    // namespace seatrial::resource
