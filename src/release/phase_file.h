// Tells the workers of a slot whether users are on their release: each of them finds a file that
// says "trial" until the first users come, and "live" from then on. A worker that looks at it can
// leave users' jobs to the release before as long as nobody knows whether its own is any good.
#pragma once

#include <filesystem>

#include "docker/containers.h"

namespace seatrial::release {

// `folder`: the slot's own. What says "live" stays: users who left may come back. Errors:
// unavailable (the disk).
Status write_phase(const std::filesystem::path& folder, bool live);
// Shows it to a container, and names it there by SEATRIAL_PHASE_FILE.
void show_phase(const std::filesystem::path& folder, docker::ContainerSpec& spec);

}    // namespace seatrial::release
