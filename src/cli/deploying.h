// What the commands of releases and approvals have in common.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/globals.h"

namespace seatrial::cli {

// Runs `run` with the app that is meant (`given`, else that of the repository one stands in), the
// daemon, and Ctrl-C as a Context. Gives the exit code.
using AppCommand =
    std::function<int(DaemonClient& daemon, const std::string& app, const Context& ctx)>;
int with_app(const std::string& given, const Globals& globals, const AppCommand& run);

// A table of `list`, or the list itself with --json; `nothing` when it is empty.
int print_list(const Result<nlohmann::json>& list, const Globals& globals,
               const std::vector<std::string>& head,
               const std::function<std::vector<std::string>(const nlohmann::json&)>& row,
               const char* nothing);

// A request that waits for a person: says who may decide, and how.
void print_waiting(const nlohmann::json& approval);
// Until it is decided, by whomever; gives the data of the deciding event.
Result<nlohmann::json> await_decision(DaemonClient& daemon, const nlohmann::json& waiting,
                                      const Globals& globals, const Context& ctx);
// A request that ended without a yes: rejected 3, expired 5, superseded 1.
int finish_undecided(const nlohmann::json& decision, const std::string& env,
                     const Globals& globals);

// Posts, waits for an approval where one is needed, follows, and tells how it ended. Ctrl-C only
// ends the watching.
int deploy_and_follow(DaemonClient& daemon, const std::string& path, const nlohmann::json& body,
                      const DeployOptions& options, const Globals& globals, const Context& ctx);

}    // namespace seatrial::cli
