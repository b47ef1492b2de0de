// Tells when a component's process ends: one thread over the pidfds of all of them, which sleeps
// until one does.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/file.h"

namespace seatrial::preview {

// Thread: any.
class Watcher {
public:
    // `ended(life)` is called on the watcher's thread; it must only wake somebody.
    explicit Watcher(std::function<void(const std::string& life)> ended);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    // `pidfd` is given away. A run is watched once; watching again replaces.
    Status watch(const std::string& run, const std::string& life, Fd pidfd);
    bool watches(const std::string& run) const;
    void forget(const std::string& run);

private:
    struct Watched {
        std::string life;
        Fd pidfd;
        std::uint64_t id = 0;
    };
    void work();

    std::function<void(const std::string&)> ended_;
    Fd epoll_;
    Fd stop_;
    mutable std::mutex mutex_;
    std::map<std::string, Watched> runs_;
    std::uint64_t next_id_ = 1;
    std::thread thread_;
};

}    // namespace seatrial::preview
