// Files with secrets.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace seatrial {

// Whole file. `invalid`: no plain file, larger than `limit` bytes, or it cannot be read; `refused`:
// others than its owner can read or change it, or that is neither root nor this process's user.
Result<std::string> read_private_file(const std::filesystem::path& path, std::size_t limit);

}    // namespace seatrial
