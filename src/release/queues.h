// An app's queues, told to pause and go on, and its cache, by what the app itself uses for them: in
// one of its containers, or over HTTP.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/release_queue.h"
#include "docker/engine.h"

namespace seatrial::release {

// Where a queue is told.
struct Place {
    std::string container;
    std::string url;    // "http://address:port"; "" = a worker's, nothing can be asked there
};
// Of Celery: by queue, who took from it when it was paused.
using Takers = std::map<std::string, std::vector<std::string>>;

// Errors of all: `failed` (the library, the command or the answer, with what it said),
// `unavailable` and `not_found` (the container), and the context's.
Result<Takers> find_takers(docker::Engine& engine, const config::ReleaseQueue& queue,
                           const Place& place, const Context& ctx);
// Again is ok. `at_most`: RQ goes on by itself after it, should nobody be left.
Status pause_queue(docker::Engine& engine, const config::ReleaseQueue& queue, const Takers& takers,
                   const Place& place, std::chrono::milliseconds at_most, const Context& ctx);
// Again is ok.
Status resume_queue(docker::Engine& engine, const config::ReleaseQueue& queue, const Takers& takers,
                    const Place& place, const Context& ctx);
// What becomes of one queue while it is waited for.
struct QueueWait {
    int first = -1;    // how much ran
    int left = 0;
    Status done;
};
// Until nothing runs, or `left` is over: how much still does. `on_count` hears each count.
Result<int> await_queue(docker::Engine& engine, const config::ReleaseQueue& queue,
                        const Takers& takers, const Place& place, std::chrono::milliseconds left,
                        const std::function<void(int)>& on_count, const Context& ctx);
// Drops the keys that begin so; how many went.
Result<int> reset_cache(docker::Engine& engine, const config::ReleaseCache& cache,
                        const Place& place, const Context& ctx);

// "3", or {"running": 3}; `failed` otherwise.
Result<int> parse_running(std::string_view text);

nlohmann::json to_json(const config::ReleaseQueue& queue);
config::ReleaseQueue queue_of(const nlohmann::json& in);    // throws as nlohmann does
nlohmann::json to_json(const config::ReleaseCache& cache);
config::ReleaseCache cache_of(const nlohmann::json& in);    // the same

}    // namespace seatrial::release
