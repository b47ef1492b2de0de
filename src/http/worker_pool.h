// Threads for blocking work: started when needed, gone when idle.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace seatrial::http {

struct WorkerLimits {
    std::size_t threads = 32;
    std::size_t queue = 64;                    // jobs that wait for a thread
    std::chrono::milliseconds idle{10'000};    // a thread without work ends after this
};

// Thread: all methods, any thread; stop() once.
class WorkerPool {
public:
    using Job = std::function<void()>;    // must not throw

    explicit WorkerPool(WorkerLimits limits, std::string name)
        : limits_(limits), name_(std::move(name)) {}
    ~WorkerPool() { stop(); }
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // False when all threads are busy and the queue is full. `must`: never refused, for work
    // whose number is bounded elsewhere.
    [[nodiscard]] bool submit(Job job, bool must = false);
    // Runs what is queued, then joins. No submit() after it.
    void stop();
    std::size_t threads() const;

private:
    void run(std::list<std::thread>::iterator self);

    const WorkerLimits limits_;
    const std::string name_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    std::list<std::thread> threads_;    // alive
    std::list<std::thread> ended_;      // to be joined
    std::size_t busy_ = 0;
    bool stopping_ = false;
};

}    // namespace seatrial::http
