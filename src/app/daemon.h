// The daemon: builds every part bottom-up, runs until a signal, takes them down top-first.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace seatrial::app {

inline constexpr const char* version = "0.1.0";

struct DaemonOptions {
    std::filesystem::path data;
    int config_fd = -1;              // server file, opened by the caller before rights are dropped
    std::string config_name;         // its name in faults; "" = no file
    bool config_embedded = false;    // the file is a repository's seatrial.yaml, both parts in one
    std::string user;                // to drop to when root; "" = seatrial
    uid_t owner = 0;                 // who may use it besides root and itself
    std::uint16_t port = 0;          // health and metrics on 127.0.0.1; 0 = none
    int ready_fd = -1;               // gets "ready\n", or the error text, then is closed
    bool log_to_file = false;        // <data>/daemon.log instead of stderr
    std::string log_level = "info";
};

// Runs until SIGTERM or SIGINT (previews stay); returns once all is down. Errors: `conflict`
// naming the daemon that holds the folder, `invalid` for configuration and newer records.
Status run_daemon(const DaemonOptions& options);

}    // namespace seatrial::app
