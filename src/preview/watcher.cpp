#include "preview/watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace seatrial::preview {

Watcher::Watcher(std::function<void(const std::string& life)> ended)
    : ended_(std::move(ended)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    check(epoll_ && stop_, "epoll and eventfd");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), &event) == 0, "epoll_ctl");
    thread_ = std::thread([this] { work(); });
}

Watcher::~Watcher() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
}

Status Watcher::watch(const std::string& run, const std::string& life, Fd pidfd) {
    const std::lock_guard lock(mutex_);
    Watched watched{life, std::move(pidfd), next_id_++};
    epoll_event event{};
    event.events = EPOLLIN | EPOLLONESHOT;
    event.data.u64 = watched.id;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watched.pidfd.get(), &event) != 0) {
        return fail_errno("epoll_ctl", errno);
    }
    runs_[run] = std::move(watched);
    return {};
}

bool Watcher::watches(const std::string& run) const {
    const std::lock_guard lock(mutex_);
    return runs_.contains(run);
}

void Watcher::forget(const std::string& run) {
    const std::lock_guard lock(mutex_);
    runs_.erase(run);    // closing the pidfd takes it out of the epoll set
}

void Watcher::work() {
    while (true) {
        epoll_event event{};
        const int ready = ::epoll_wait(epoll_.get(), &event, 1, -1);
        if (ready < 0) {
            check(errno == EINTR, "epoll_wait");
            continue;
        }
        if (event.data.u64 == 0) {
            return;
        }
        std::string life;
        {
            const std::lock_guard lock(mutex_);
            for (auto run = runs_.begin(); run != runs_.end(); ++run) {
                if (run->second.id == event.data.u64) {
                    life = run->second.life;
                    runs_.erase(run);
                    break;
                }
            }
        }
        if (!life.empty()) {
            ended_(life);
        }
    }
}

}    // namespace seatrial::preview
