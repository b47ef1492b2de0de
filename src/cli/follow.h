// Watches one generation of a preview until it has come to its end.
#pragma once

#include "cli/client.h"
#include "cli/output.h"

namespace seatrial::cli {

// Shows steps in `steps` as they come; `data` gets the outcome's data. Survives daemon restarts.
Result<std::string> follow(DaemonClient& daemon, const std::string& life, std::int64_t generation,
                           std::int64_t after, StepList& steps, nlohmann::json& data,
                           const Context& ctx);

}    // namespace seatrial::cli
