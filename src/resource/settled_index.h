// A shortcut for the first look at a tree (git/worktree.h, salvage): git compares whole seconds,
// so it reads every file again that was checked out in the second in which the index was written,
// which is most of them. When nobody has changed anything in the rest of that second, a copy of
// the index that looks a second younger tells the same without reading them.
#pragma once

#include <time.h>

#include <filesystem>
#include <string>

#include "resource/folders.h"

namespace seatrial::resource {

// Which index this is and that nobody has written it since; "" when there is none.
std::string index_identity(const std::filesystem::path& folder);
// When it was written; all zero when unknown.
timespec index_time(const std::filesystem::path& folder);
// Places the copy at `to`. False: git has to look itself, because the index is not the one
// `identity` tells of, or `size` (measure_tree since index_time) tells of a change.
bool copy_settled_index(const std::filesystem::path& folder, const std::string& identity,
                        const TreeSize& size, const std::filesystem::path& to);

}    // namespace seatrial::resource
