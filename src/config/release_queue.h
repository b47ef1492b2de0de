// Queues whose work is paused while a release is started, and what is dropped from a cache then.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace seatrial::config {

struct ReleaseQueue {
    enum class Kind : unsigned char { rq, celery, custom } kind = Kind::custom;
    // How a custom one is told: by HTTP or by a command.
    struct Ask {
        std::string path;                 // of a component; "" = the command
        std::vector<std::string> argv;    // in its container
        bool operator==(const Ask&) const = default;
    };

    std::string name;
    std::string component;              // custom: "" = the first one with a port
    std::string url;                    // rq, celery: variable that holds the broker's URL
    std::vector<std::string> queues;    // rq, celery
    Ask pause, resume, running;         // custom
    std::chrono::milliseconds timeout{60'000};    // for running work to end
    bool stop = true;    // the deploy, when it cannot be paused or does not end in time
    bool operator==(const ReleaseQueue&) const = default;
};

struct ReleaseCache {
    std::string component;
    std::string url;                      // variable that holds the URL of the Redis server
    std::vector<std::string> prefixes;    // of keys; none: nothing is dropped
    bool operator==(const ReleaseCache&) const = default;
};

}    // namespace seatrial::config
