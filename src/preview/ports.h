// Port slots (P4): a preview's ports are base + slot*stride; no two previews and no foreign
// process ever share one, so a slot whose ports are not all free is skipped.
#pragma once

#include <map>
#include <set>
#include <string>

#include "config/config.h"

namespace seatrial::preview {

// Ports for the components that need one and have none in `ports` yet. `taken`: owned by other
// previews or listened on by anyone. Errors: `unavailable` when no slot is left.
Status choose_ports(const config::App& app, const config::Server& server,
                    const std::set<int>& taken, std::map<std::string, int>& ports);

}    // namespace seatrial::preview
