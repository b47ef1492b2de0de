// <data>/mounts/<name>.json: what a dep-mount has done or was about to do, written before it, so
// that it can be undone from its name alone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "git/worktree.h"

namespace seatrial::resource {

struct MountRecord {
    std::string tree;                  // name of the dep-tree
    std::filesystem::path worktree;    // <previews>/<worktree>: tree/ and deps/
    std::vector<std::string> paths;    // paths[i] shows the tree's folder i
    bool overlay = false;
    std::string spec_hash;    // "": not finished

    std::filesystem::path target(std::size_t i) const {
        return git::tree_folder(worktree) / paths[i];
    }
    std::filesystem::path deps() const { return worktree / "deps"; }
    std::filesystem::path layer(std::size_t i, const char* name) const {
        return deps() / std::to_string(i) / name;
    }
};

std::filesystem::path mount_record_file(const std::filesystem::path& data, const std::string& name);
// Names of all records.
Result<std::vector<std::string>> mount_records(const std::filesystem::path& data);
// `not_found` without one. One that a power cut has spoilt is empty: the mounts it knew of went
// with the power, the rest goes with the worktree.
Result<MountRecord> read_mount_record(const std::filesystem::path& data, const std::string& name);
Status write_mount_record(const std::filesystem::path& data, const std::string& name,
                          const MountRecord& record);
// Names of the mounts whose record names this tree.
Result<std::vector<std::string>> mounts_of_tree(const std::filesystem::path& data,
                                                const std::string& tree);

}    // namespace seatrial::resource
