// Type "dep-mount": a dependency tree laid into a preview's worktree, so that what the preview
// writes there is its own: an overlay per kept path where root, else a copy (reflink where the
// file system can), never hard links. Place "host".
//
// <data>/mounts/<name>.json is written before the effect and tells destroy() what to undo;
// <previews>/<worktree>/deps/<i>/{upper,work} hold what the preview changed.
//
// In an overlay the files belong to the daemon's user with a mode that lets everybody write: a
// preview reads, changes, replaces and removes them, but cannot chmod them or set their times to
// anything but now.
//
// Spec (JSON): tree (name of a dep-tree), previews (folder), worktree (name), uid_slot.
#pragma once

#include "plan/resource.h"
#include "process/runner.h"

namespace seatrial::resource {

struct MountRecord;

inline constexpr std::string_view dependency_mount_type = "dep-mount";

class DependencyMount : public plan::Type {
public:
    DependencyMount(process::Runner& runner, std::filesystem::path data, std::string instance);
    std::string_view name() const override { return dependency_mount_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // After a reboot the overlays are gone: partial.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Another tree: all is undone, what the preview wrote there goes, the new tree comes.
    // Errors: `unavailable` when the tree is not there; `failed` when something in the worktree
    // is in the way (a link, a file).
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    Status check_name(const std::string& name) const;
    std::string run_name(const MountRecord& record, const std::string& tool) const;
    Status undo(const MountRecord& record, plan::Removal& removal, const Context& ctx);
    Status unmount_below(const std::filesystem::path& worktree, const Context& ctx);
    Status make_targets(const MountRecord& record, int uid_slot, const Context& ctx);
    Status run_as(const MountRecord& record, int uid_slot, std::vector<std::string> argv,
                  const Context& ctx);
    Result<bool> mount_all(const MountRecord& record, int uid_slot, const Context& ctx);
    Status copy_all(const MountRecord& record, int uid_slot, const plan::Progress& progress,
                    const Context& ctx);
    Status place_copy(const MountRecord& record, std::size_t index, int uid_slot,
                      const Context& ctx);

    process::Runner& runner_;
    std::filesystem::path data_;
    std::string instance_;
};

}    // namespace seatrial::resource
