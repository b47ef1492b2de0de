// The output of a container in a log file of ours, so that it is read like that of a process and
// stays when the container is gone. The engine keeps it; it is copied when somebody wants to see
// it, and before a container is removed.
#pragma once

#include <filesystem>
#include <functional>

#include "docker/engine.h"

namespace seatrial::resource {

struct LogCopy {
    std::filesystem::path file;                // its folder is made
    std::int64_t limit_bytes = 16 << 20;       // of the file: what comes later is dropped
    bool follow = false;                       // until the container ends
    std::function<bool()> wanted = nullptr;    // asked at every line; false ends it (ok)
};

// Appends what the container said since the last copy; how far it came stands in `file`.at. Ok
// when the container is not there, and when somebody else copies to this file right now. After
// dying in its middle lines may come twice.
Status copy_container_log(docker::Engine& engine, const std::string& container, const LogCopy& copy,
                          const Context& ctx);

}    // namespace seatrial::resource
