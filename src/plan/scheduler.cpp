#include "plan/scheduler.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "base/result.h"

namespace seatrial::plan {
namespace {
constexpr auto idle_time = std::chrono::seconds(3);
}

struct Scheduler::Impl {
    // The first task in line whose pool and key are free, marked as taken; queue.end() if none.
    std::deque<Task>::iterator claim() {
        for (auto task = queue.begin(); task != queue.end(); ++task) {
            if (!task->key.empty() && keys.contains(task->key)) {
                continue;
            }
            if (!task->pool.empty() && used[task->pool] >= limits.at(task->pool)) {
                continue;
            }
            if (!task->key.empty()) {
                keys.insert(task->key);
            }
            if (!task->pool.empty()) {
                ++used[task->pool];
            }
            return task;
        }
        return queue.end();
    }

    void release(const Task& task) {
        keys.erase(task.key);
        if (!task.pool.empty()) {
            --used[task.pool];
        }
    }

    void work() {
        std::unique_lock lock(mutex);
        while (true) {
            const auto next = claim();
            if (next != queue.end()) {
                Task task = std::move(*next);
                queue.erase(next);
                lock.unlock();
                task.run();
                task.run = nullptr;    // what it holds ends outside the lock
                lock.lock();
                release(task);
                wake.notify_all();    // another task may have waited for this pool or key
                continue;
            }
            if (stopping) {
                break;
            }
            ++idle;
            const bool timed_out = wake.wait_for(lock, idle_time) == std::cv_status::timeout;
            --idle;
            if (timed_out && queue.empty()) {
                break;
            }
        }
        --threads;
        ended.notify_all();
    }

    int workers = 1;
    std::map<std::string, int> limits;
    std::mutex mutex;
    std::condition_variable wake;
    std::condition_variable ended;
    std::deque<Task> queue;
    std::map<std::string, int> used;
    std::set<std::string> keys;
    int threads = 0;
    int idle = 0;
    bool stopping = false;
};

Scheduler::Scheduler(int workers, std::map<std::string, int> pools)
    : impl_(std::make_shared<Impl>()) {
    impl_->workers = workers;
    impl_->limits = std::move(pools);
}

void Scheduler::stop() {
    std::deque<Task> dropped;
    std::unique_lock lock(impl_->mutex);
    impl_->stopping = true;
    dropped.swap(impl_->queue);
    impl_->wake.notify_all();
    impl_->ended.wait(lock, [&] { return impl_->threads == 0; });
}

void Scheduler::submit(Task task) {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) {
        return;
    }
    check(task.pool.empty() || impl_->limits.contains(task.pool), "unknown pool");
    impl_->queue.push_back(std::move(task));
    if (impl_->idle == 0 && impl_->threads < impl_->workers) {
        ++impl_->threads;
        std::thread([impl = impl_] { impl->work(); }).detach();
    } else {
        impl_->wake.notify_one();
    }
}

}    // namespace seatrial::plan
