#include "release/phase_file.h"

#include "base/file.h"

namespace seatrial::release {
namespace {

namespace fs = std::filesystem;

constexpr const char* in_container = "/run/seatrial";

// No key file has such a name. A folder, because what is mounted must outlive the file in it, which
// is replaced as a whole.
fs::path folder_of(const fs::path& slot) {
    return slot / ".phase";
}

}    // namespace

Status write_phase(const fs::path& folder, bool live) {
    const fs::path file = folder_of(folder) / "phase";
    const std::string live_text = "live\n";
    if (const auto before = read_file(file, 64); before && (!live || *before == live_text)) {
        return {};
    }
    TRY(make_dirs(folder.parent_path(), 0700));
    TRY(make_dirs(folder, 0700));
    TRY(make_dirs(file.parent_path(), 0755));
    return write_file_atomic(file, live ? live_text : "trial\n", 0444);
}

void show_phase(const fs::path& folder, docker::ContainerSpec& spec) {
    spec.mounts.push_back(
        {.folder = folder_of(folder).string(), .target = in_container, .read_only = true});
    spec.environment.insert_or_assign("SEATRIAL_PHASE_FILE",
                                      Secret(std::string(in_container) + "/phase"));
}

}    // namespace seatrial::release
