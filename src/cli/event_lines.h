// What people read of a deployment's events.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace seatrial::cli {

// One line (some go on indented); "" for what people need not see.
std::string line_of(const std::string& kind, const nlohmann::json& data);

}    // namespace seatrial::cli
