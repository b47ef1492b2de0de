#include "plan/timers.h"

namespace seatrial::plan {

Timers::Timers() : thread_([this] { work(); }) {}

void Timers::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Timers::set(const std::string& name, std::chrono::milliseconds delay,
                 std::function<void()> run) {
    const auto at = std::chrono::steady_clock::now() + delay;
    const std::lock_guard lock(mutex_);
    std::erase_if(due_, [&](const auto& item) { return item.second.name == name; });
    due_.emplace(at, Entry{name, std::move(run)});
    wake_.notify_all();
}

void Timers::clear(const std::string& name) {
    const std::lock_guard lock(mutex_);
    std::erase_if(due_, [&](const auto& item) { return item.second.name == name; });
}

void Timers::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (due_.empty()) {
            wake_.wait(lock);
            continue;
        }
        const auto next = due_.begin();
        if (next->first > std::chrono::steady_clock::now()) {
            const auto until = next->first;
            wake_.wait_until(lock, until);
            continue;
        }
        const auto run = std::move(next->second.run);
        due_.erase(next);
        lock.unlock();
        run();
        lock.lock();
    }
}

}    // namespace seatrial::plan
