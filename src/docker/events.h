// What goes on in an engine with the things of ours, as it happens; and how full the engine is.
// Errors and threads: docker/engine.h.
#pragma once

#include <cstdint>
#include <functional>

#include "docker/engine.h"

namespace seatrial::docker {

struct Event {
    std::int64_t nanoseconds = 0;    // UNIX time of the engine
    std::string type;                // container, image, network, volume
    std::string action;              // create start die oom health_status: healthy destroy ...
    std::string id, name;
    Labels attributes;    // labels, and what the action says (exitCode)
};

struct EventsWanted {
    // Begin with those after it: the engine remembers the last 256 or so. 0: from now on.
    std::int64_t since_nanoseconds = 0;
    std::int64_t until_nanoseconds = 0;    // then it ends; 0: never
    Labels labels = {};                    // that the thing carries, besides our mark
    // The connection was lost and is there again. What came between is told next unless the
    // engine itself was away or much happened: look at all that matters once.
    std::function<void()> on_reconnect = {};
};

// Listens until `on_event` returns false (ok), `until` (ok) or the end of ctx. A lost connection is
// made again, with pauses that grow up to 1 s, and the stream goes on behind the last event that
// was told: none is told twice.
Status watch_events(Engine& engine, const EventsWanted& wanted,
                    const std::function<bool(const Event&)>& on_event, const Context& ctx);

struct DiskUse {
    std::int64_t images = 0, containers = 0, volumes = 0, build_cache = 0;    // bytes
};
Result<DiskUse> disk_use(Engine& engine, const Context& ctx);
// Forgets what was not used for longest until the build cache is no larger than `budget_bytes`;
// answers the bytes freed. The cache bears no marks: only for an engine that is ours alone.
Result<std::int64_t> prune_build_cache(Engine& engine, std::int64_t budget_bytes,
                                       const Context& ctx);

}    // namespace seatrial::docker
