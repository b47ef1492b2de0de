// The HTTP front: one io thread for sockets, timers and event streams; handlers run on a small
// blocking pool whose threads come when needed and go when idle. Without a connection nothing
// in here wakes up.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/file.h"
#include "http/router.h"

namespace seatrial::http {

struct ServerOptions {
    std::vector<Fd> listeners;              // http/listen.h, or inherited
    std::filesystem::path upload_folder;    // for upload routes; its "upload-*" files are ours
    std::size_t threads = 32;               // handlers at work; more wait, then 503
    std::size_t waiting = 64;
    std::size_t max_connections = 1024;     // more are told 503 and closed
    std::size_t header_bytes = 16 << 10;    // 431
    std::size_t stream_bytes = 1 << 20;     // queued per event stream, then "resync"
    std::chrono::milliseconds header_timeout{10'000};
    std::chrono::milliseconds body_timeout{60'000};    // uploads: for each piece of 512 KB
    std::chrono::milliseconds write_timeout{60'000};
    std::chrono::milliseconds idle_timeout{60'000};        // kept-alive connection without request
    std::chrono::milliseconds comment_interval{15'000};    // keep-alive of event streams
    std::chrono::milliseconds thread_idle{10'000};
    // Told of faults that no client can be told of (accept failed, a handler threw). Any thread.
    std::function<void(std::string_view)> report;
};

// Thread: stop() and stats() from any thread.
class Server {
public:
    // Block the signals that main() waits for before this: its threads inherit the mask.
    static Result<std::unique_ptr<Server>> start(ServerOptions options, Router router);
    ~Server();

    // Accepts no more, lets running handlers finish and answer, ends the event streams after
    // what is queued. When ctx ends first, cancels the handlers' contexts, closes their
    // connections and returns ctx's error. Either way all threads are gone afterwards, so a
    // handler must heed its Context. Repeatable.
    Status stop(const Context& ctx);

    struct Stats {
        std::size_t connections = 0;
        std::size_t threads = 0;    // of the pool
    };
    Stats stats() const;

private:
    struct Impl;
    explicit Server(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::http
