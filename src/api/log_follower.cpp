#include "api/log_follower.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace seatrial::api {

LogFollower::LogFollower()
    : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

LogFollower::~LogFollower() {
    if (thread_.joinable()) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
        thread_.join();
    }
}

// Sends what the file has beyond the offset, whole lines first; the rest at the next call.
void LogFollower::pump(Followed& followed) {
    const Fd fd(::open(followed.source.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) {
        return;
    }
    std::array<char, 32768> buffer{};
    while (true) {
        const ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), followed.offset);
        if (n <= 0) {
            return;
        }
        followed.offset += n;
        const nlohmann::json data = {
            {"component", followed.source.component},
            {"text", std::string(buffer.data(), static_cast<std::size_t>(n))}};
        followed.stream->send("log",
                              data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
}

Status LogFollower::follow(const std::shared_ptr<http::EventStream>& stream,
                           const std::vector<LogSource>& sources, std::int64_t tail_bytes) {
    const std::lock_guard lock(mutex_);
    if (!inotify_ || !stop_) {
        return fail(Code::unavailable, "inotify is not available");
    }
    for (const auto& source : sources) {
        const int watch = ::inotify_add_watch(inotify_.get(), source.file.parent_path().c_str(),
                                              IN_MODIFY | IN_CREATE | IN_MOVED_TO);
        if (watch < 0) {
            return fail_errno("cannot watch the log folder", errno);
        }
        struct stat info{};
        Followed followed{source, 0, stream};
        if (::stat(source.file.c_str(), &info) == 0) {
            followed.offset = std::max<std::int64_t>(0, info.st_size - tail_bytes);
        }
        pump(followed);
        watches_.emplace(watch, std::move(followed));
    }
    if (!thread_.joinable()) {
        thread_ = std::thread([this] { work(); });
    }
    return {};
}

void LogFollower::work() {
    while (true) {
        std::array<pollfd, 2> fds = {{{inotify_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
            return;
        }
        if (fds[1].revents != 0) {
            return;
        }
        alignas(inotify_event) std::array<char, 8192> buffer{};
        const ssize_t n = ::read(inotify_.get(), buffer.data(), buffer.size());
        if (n <= 0) {
            continue;
        }
        const std::lock_guard lock(mutex_);
        // Which file changed matters little: pumping an unchanged one reads nothing.
        for (ssize_t at = 0; at < n;) {
            inotify_event event{};
            std::copy_n(buffer.data() + at, sizeof event, reinterpret_cast<char*>(&event));
            at += static_cast<ssize_t>(sizeof event + event.len);
            const auto [first, last] = watches_.equal_range(event.wd);
            for (auto item = first; item != last;) {
                if (item->second.stream->closed()) {
                    item = watches_.erase(item);
                } else {
                    pump(item->second);
                    ++item;
                }
            }
            if (!watches_.contains(event.wd)) {
                ::inotify_rm_watch(inotify_.get(), event.wd);
            }
        }
    }
}

}    // namespace seatrial::api
