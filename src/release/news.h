// Events of deployments. Source of their meaning for people: cli/releases.cpp.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "store/records.h"

namespace seatrial::release {

// By the reconciler, of the life's present generation.
store::Event make_event(const store::Life& life, const std::string& kind,
                        const nlohmann::json& data);

}    // namespace seatrial::release
