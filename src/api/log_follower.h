// Streams what is appended to log files. One thread over inotify, only while somebody follows.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "http/event_stream.h"

namespace seatrial::api {

struct LogSource {
    std::string component;
    std::filesystem::path file;    // need not exist yet, its folder must
};

// Thread: any.
class LogFollower {
public:
    LogFollower();
    ~LogFollower();
    LogFollower(const LogFollower&) = delete;
    LogFollower& operator=(const LogFollower&) = delete;
    // Sends events "log" {component, text}: the last `tail_bytes` of each, then what comes.
    Status follow(const std::shared_ptr<http::EventStream>& stream,
                  const std::vector<LogSource>& sources, std::int64_t tail_bytes);

private:
    struct Followed {
        LogSource source;
        std::int64_t offset = 0;
        std::shared_ptr<http::EventStream> stream;
    };
    void work();
    static void pump(Followed& followed);

    Fd inotify_;
    Fd stop_;
    std::mutex mutex_;
    std::multimap<int, Followed> watches_;    // by inotify watch of the folder
    std::thread thread_;
};

}    // namespace seatrial::api
