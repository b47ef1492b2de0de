// The table of commands: what each is called, takes and does. Parsing, help, completion and the
// reference page come from it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/globals.h"

namespace CLI {
class App;
}

namespace seatrial::cli {

// All that can be set on the line. Lives as long as the parser.
struct Options {
    Globals globals;
    std::string data;
    UpOptions up;
    ServeOptions serve;
    LsOptions ls;
    LogsOptions logs;
    StopOptions stop;
    KeyOptions key;
    CleanupOptions cleanup;
    DeployOptions deploy;
    ApprovalOptions approval;
    EnvOptions env;
    double hours = 0;
    bool force = false;
    std::string file = "seatrial.yaml", shell, folder;
};

using Run = std::function<int(Options&)>;

struct Command {
    std::string name;
    std::string text;
    std::function<void(CLI::App&, Options&)> options;
    Run run;
    bool hidden = false;
};

// Those of releases and approvals.
std::vector<Command> release_commands();

}    // namespace seatrial::cli
