// Copies of trees that share nothing with the original but, where the file system can, the
// blocks (reflink). Never hard links: they leak writes.
#pragma once

#include <filesystem>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::resource {

struct Copied {
    std::int64_t files = 0;
    std::int64_t bytes = 0;
    bool cloned = false;    // all files by reflink
};

// Makes `to` (which must not exist) a copy of folder `from`: modes, times and links as they are,
// owned by this user; no sockets, pipes or devices. A failed copy leaves what it had made.
Result<Copied> copy_tree(const std::filesystem::path& from, const std::filesystem::path& to,
                         const Context& ctx);

// The content of an open file into an open empty one; true when it was cloned.
Result<bool> copy_content(const Fd& from, const Fd& to);

}    // namespace seatrial::resource
