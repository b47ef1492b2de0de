// The part of a deployment that the environment gives.
#pragma once

#include "config/config.h"
#include "release/builder.h"
#include "release/deployment.h"

namespace seatrial::release {

// `invalid` when the environment takes no releases.
Result<Settings> make_settings(const Release& release, const config::App& app,
                               const config::Environment& environment);

}    // namespace seatrial::release
