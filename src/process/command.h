// Runs our own tools (git, pg_dump) as this user: argv only, never a shell. User commands
// never come here; they run through process/runner.h inside the isolation.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::process {

struct Command {
    std::vector<std::string> argv = {};    // argv[0] is looked up in PATH
    std::vector<std::string> env = {};     // added to a minimal environment: PATH, HOME, LANG
    std::filesystem::path cwd = "/";
    int stdin_fd = -1;                     // borrowed; /dev/null when -1
    int stdout_fd = -1;                    // borrowed; captured into Output.out when -1
    std::size_t output_limit = 4 << 20;    // bytes kept of out and err each; the rest is dropped
    // Gets all of its standard error as it comes, cut anywhere; on the caller's thread.
    std::function<void(std::string_view bytes)> on_err = {};
};

struct Output {
    int exit_code = 0;    // 128 + signal when killed
    std::string out;
    std::string err;
};

// Starts, waits and captures. On cancellation or deadline the child's process group is killed
// and the context's error returned. The child dies with this thread (PDEATHSIG).
// Errors: not_found when argv[0] does not exist. A non-zero exit is not an error here.
// Thread: any.
Result<Output> run_command(const Command& command, const Context& ctx);

// As run_command, but a non-zero exit becomes `failed` with the last lines of stderr.
Result<Output> run_checked(const Command& command, const Context& ctx);

}    // namespace seatrial::process
