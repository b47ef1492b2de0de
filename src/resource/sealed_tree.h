// The files of a sealed dependency tree, <data>/trees/<name>: one folder per kept path, named by
// its number, and index.json. What makes it is type dep-tree, who mounts it type dep-mount.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::resource {

struct Seal {
    std::vector<std::string> paths;    // paths[i] lies in folder "i"
    std::string spec_hash;
    std::string boot_id;    // of the boot that made it: until it is synced, only good for that one
    std::int64_t files = 0;
    std::int64_t bytes = 0;
};

// None where there is no index; one that cannot be read counts as none.
Result<std::optional<Seal>> read_seal(const std::filesystem::path& folder);
Status write_seal(const std::filesystem::path& folder, const Seal& seal);

// The kept paths that an install has made below `tree`: `*`, `?` and `[` match within a folder
// name, links are not followed, a path inside another is left out. `failed` when a path without
// such a sign is missing or no folder, or when nothing at all is there.
Result<std::vector<std::string>> expand_keep(const std::filesystem::path& tree,
                                             const std::vector<std::string>& patterns);

// Renames the folder `path` below `tree` to `to`.
Status take_folder(const std::filesystem::path& tree, const std::string& path,
                   const std::filesystem::path& to);

// Makes a folder fit to be shared: readable and writable for every uid above it (nobody reaches
// it here), no set-uid bits, no file with a second name elsewhere. Adds to files and bytes.
Status prepare_shared(const std::filesystem::path& folder, Seal& seal, const Context& ctx);

}    // namespace seatrial::resource
