// What the handlers of releases, deployments and approvals share.
#pragma once

#include <string>

#include "api/api.h"
#include "config/config.h"
#include "release/builder.h"

namespace seatrial::api {

// `invalid` with all faults at once.
Result<config::App> parse_app_of(const std::string& text, const std::string& name);

}    // namespace seatrial::api
