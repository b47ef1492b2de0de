// Key files: read on the server, given to containers as read-only mounts of a copy.
//
// A container's user is not the file's owner, so a private key of mode 0600 could not be read
// there. Each slot therefore has its own copies, readable by everybody, in a folder that only the
// daemon's user can enter: the host stays as closed as before, and the mount shows the file to the
// container alone. They go with the slot.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/context.h"
#include "config/config.h"
#include "release/deployment.h"

namespace seatrial::release {

// What is wrong with an environment's env and key files, but for their variables: modes, and what
// git would publish. Some are warnings.
std::vector<config::Fault> check_files(const config::Environment& environment, const Context& ctx);

// What is there already stays: a slot keeps the keys that it began with.
Status copy_key_files(const std::vector<KeyFile>& files, const std::filesystem::path& folder);
Status remove_key_files(const std::filesystem::path& folder);    // absent is ok
// Removes all folders below `root` but these.
Status keep_key_files(const std::filesystem::path& root, const std::set<std::string>& kept);

}    // namespace seatrial::release
