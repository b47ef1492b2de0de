#include "resource/mount_record.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "resource/folders.h"

namespace seatrial::resource {

using nlohmann::json;

namespace {

constexpr std::string_view record_end = ".json";
constexpr std::size_t record_limit = 4 << 20;

std::filesystem::path mounts_folder(const std::filesystem::path& data) {
    return data / "mounts";
}

}    // namespace

std::filesystem::path mount_record_file(const std::filesystem::path& data,
                                        const std::string& name) {
    return mounts_folder(data) / (name + std::string(record_end));
}

Result<std::vector<std::string>> mount_records(const std::filesystem::path& data) {
    std::vector<std::string> names;
    const auto folder = open_folder(mounts_folder(data));
    if (!folder && folder.error().code == Code::not_found) {
        return names;
    }
    if (!folder) {
        return tl::unexpected(folder.error());
    }
    TRY_ASSIGN(const auto entries, entries_of(*folder));
    for (const auto& entry : entries) {
        if (entry.ends_with(record_end)) {
            names.push_back(entry.substr(0, entry.size() - record_end.size()));
        }
    }
    return names;
}

Result<MountRecord> read_mount_record(const std::filesystem::path& data, const std::string& name) {
    TRY_ASSIGN(const auto text, read_file(mount_record_file(data, name), record_limit));
    MountRecord record;
    try {
        const json parsed = json::parse(text);
        record.tree = parsed.at("tree").get<std::string>();
        record.worktree = parsed.at("worktree").get<std::string>();
        record.paths = parsed.at("paths").get<std::vector<std::string>>();
        record.overlay = parsed.at("overlay").get<bool>();
        record.spec_hash = parsed.at("spec_hash").get<std::string>();
    } catch (const json::exception&) {
        return MountRecord();
    }
    return record;
}

Status write_mount_record(const std::filesystem::path& data, const std::string& name,
                          const MountRecord& record) {
    const json text = {{"tree", record.tree},
                       {"worktree", record.worktree.string()},
                       {"paths", record.paths},
                       {"overlay", record.overlay},
                       {"spec_hash", record.spec_hash}};
    TRY(make_dirs(mounts_folder(data), 0700));
    return replace_file(mount_record_file(data, name), text.dump(1) + "\n", 0600);
}

Result<std::vector<std::string>> mounts_of_tree(const std::filesystem::path& data,
                                                const std::string& tree) {
    TRY_ASSIGN(const auto names, mount_records(data));
    std::vector<std::string> users;
    for (const auto& name : names) {
        const auto record = read_mount_record(data, name);
        if (record && record->tree == tree) {
            users.push_back(name);
        }
    }
    return users;
}

}    // namespace seatrial::resource
