// What is mounted, as the kernel says.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace seatrial::resource {

struct MountPoint {
    std::filesystem::path path;
    std::string type;    // "overlay"
};

// The text of /proc/self/mountinfo; lines of an unknown form are left out.
std::vector<MountPoint> parse_mountinfo(std::string_view text);
Result<std::vector<MountPoint>> mounted();

}    // namespace seatrial::resource
