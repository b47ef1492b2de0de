// Runs things later. One thread that sleeps until the next is due and not before.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace seatrial::plan {

// Thread: any. Callbacks run on the timer's thread and must be short. Monotonic time.
class Timers {
public:
    Timers();
    ~Timers() { stop(); }
    void stop();    // waits for a running callback, drops the rest; repeatable
    Timers(const Timers&) = delete;
    Timers& operator=(const Timers&) = delete;
    // Replaces what is set under the same name.
    void set(const std::string& name, std::chrono::milliseconds delay, std::function<void()> run);
    void clear(const std::string& name);

private:
    struct Entry {
        std::string name;
        std::function<void()> run;
    };
    void work();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::multimap<std::chrono::steady_clock::time_point, Entry> due_;
    bool stopping_ = false;
    std::thread thread_;
};

}    // namespace seatrial::plan
