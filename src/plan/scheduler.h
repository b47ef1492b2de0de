// Worker threads for plan nodes. Threads start when there is work and end after a few idle
// seconds, so that a quiet daemon holds none. A task may name a bounded pool (as ninja's) and an
// exclusive key; while it must wait for either it holds no thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace seatrial::plan {

struct Task {
    std::function<void()> run;    // must not wait for another task
    std::string pool;             // "" or one of the pools given at construction
    std::string key;              // tasks of one key run one after the other; "" = none
};

// Thread: any. The destructor waits for running tasks and drops queued ones.
class Scheduler {
public:
    Scheduler(int workers, std::map<std::string, int> pools);
    ~Scheduler() { stop(); }
    void stop();    // as the destructor; later submissions are dropped; repeatable
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;
    void submit(Task task);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}    // namespace seatrial::plan
