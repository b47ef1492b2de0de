#include "http/worker_pool.h"

#include <pthread.h>

#include <system_error>
#include <utility>

namespace seatrial::http {

bool WorkerPool::submit(Job job, bool must) {
    std::list<std::thread> ended;
    {
        const std::lock_guard lock(mutex_);
        const std::size_t ready = threads_.size() - busy_;    // at rest, or just starting
        const bool thread_free = ready > jobs_.size();
        const bool may_grow = threads_.size() < limits_.threads;
        if (!must && !thread_free && !may_grow && jobs_.size() >= limits_.queue + ready) {
            return false;
        }
        jobs_.push_back(std::move(job));
        if (!thread_free && may_grow) {
            // The new thread waits for the lock, so it finds its own handle in the list.
            const auto self = threads_.emplace(threads_.end());
            try {
                *self = std::thread([this, self] { run(self); });
            } catch (const std::system_error&) {
                threads_.erase(self);
                if (threads_.empty()) {
                    jobs_.pop_back();
                    return false;
                }
            }
        }
        ended.splice(ended.end(), ended_);
    }
    wake_.notify_one();
    for (auto& thread : ended) {
        thread.join();
    }
    return true;
}

void WorkerPool::run(std::list<std::thread>::iterator self) {
    ::pthread_setname_np(::pthread_self(), name_.c_str());
    std::unique_lock lock(mutex_);
    while (true) {
        const bool woken =
            wake_.wait_for(lock, limits_.idle, [this] { return !jobs_.empty() || stopping_; });
        if (!jobs_.empty()) {
            Job job = std::move(jobs_.front());
            jobs_.pop_front();
            ++busy_;
            lock.unlock();
            job();
            job = nullptr;    // what it holds goes outside the lock
            lock.lock();
            --busy_;
        } else if (!woken || stopping_) {
            ended_.splice(ended_.end(), threads_, self);
            wake_.notify_all();
            return;
        }
    }
}

void WorkerPool::stop() {
    std::list<std::thread> ended;
    {
        std::unique_lock lock(mutex_);
        stopping_ = true;
        wake_.notify_all();
        wake_.wait(lock, [this] { return threads_.empty(); });
        ended.splice(ended.end(), ended_);
    }
    for (auto& thread : ended) {
        thread.join();
    }
}

std::size_t WorkerPool::threads() const {
    const std::lock_guard lock(mutex_);
    return threads_.size();
}

}    // namespace seatrial::http
