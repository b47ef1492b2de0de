// Opening what hostile text names, and nothing outside one folder.
#pragma once

#include <string>
#include <utility>

#include "base/file.h"

namespace seatrial::process {

// `path` below the folder `top`: plain parts only, no link anywhere in it; else `refused`.
Result<Fd> open_below(const Fd& top, const std::string& path, int flags);

// The folder that holds the last part of `path`, and that part. At least two parts deep, so
// that no verb can be turned on a whole root ("previews", "run").
Result<std::pair<Fd, std::string>> open_parent(const Fd& top, const std::string& path);

}    // namespace seatrial::process
