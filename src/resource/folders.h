// Folders that programs of others have written: walked by descriptors, so that no link in them
// leads out.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::resource {

// Deeper trees are refused (`failed`).
inline constexpr int deepest_folder = 200;

// A folder, by a path without links in its last part.
Result<Fd> open_folder(const std::filesystem::path& path);
// The folder `path` (relative, "a/b") below `root`: no link, no "..". With `make` what is missing
// is made (0755). `not_found`, or `refused` where a link or a file is in the way.
Result<Fd> open_beneath(const Fd& root, const std::string& path, bool make = false);
// Entries but "." and "..", sorted.
Result<std::vector<std::string>> entries_of(const Fd& folder);
// Adds permission bits to an entry that is no link, whatever its name means a moment later.
Status add_mode(const Fd& folder, const std::string& name, mode_t bits);

struct TreeSize {
    std::int64_t files = 0;
    std::int64_t bytes = 0;    // on disk
    timespec since{};
    // Some file may have changed after `since`, but within its second.
    bool touched = true;
};
// Counts what is below, without following links or crossing mounts; unreadable parts are left
// out.
TreeSize measure_tree(const std::filesystem::path& path, const Context& ctx, timespec since = {});

// Renames `path` into the `trash` folder as <its name>-<n> and tells its size; absent is ok.
// The caller may rename it: owns it and the folder it lies in. Repeatable.
Result<TreeSize> move_to_trash(const std::filesystem::path& path,
                               const std::filesystem::path& trash, const Context& ctx);
// The same without counting.
Status drop_to_trash(const std::filesystem::path& path, const std::filesystem::path& trash);

// tmp + rename without syncing: after a crash of ours the old content or the new, after a power
// cut perhaps nothing.
Status replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode);

}    // namespace seatrial::resource
