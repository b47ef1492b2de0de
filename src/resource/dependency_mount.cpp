#include "resource/dependency_mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/worktree.h"
#include "resource/copy_tree.h"
#include "resource/folders.h"
#include "resource/mount_record.h"
#include "resource/mount_table.h"
#include "resource/run_spec.h"
#include "resource/sealed_tree.h"

namespace seatrial::resource {

using nlohmann::json;

namespace {

constexpr const char* in_the_way = "a file or link of the repository is in the way of install.keep";
constexpr const char* tools[] = {"mkdir", "mv"};

// Moves `path` below `tree` to the trash, wherever links in the tree point. What is not there, or
// only behind a link, is not ours.
Result<TreeSize> trash_beneath(const std::filesystem::path& tree, const std::string& path,
                               const std::filesystem::path& trash, const Context& ctx) {
    const auto root = open_folder(tree);
    const std::filesystem::path relative = path;
    const auto parent = root ? open_beneath(*root, relative.parent_path().string())
                             : Result<Fd>(tl::unexpected(root.error()));
    if (!parent) {
        const auto code = parent.error().code;
        return code == Code::not_found || code == Code::refused
                   ? Result<TreeSize>(TreeSize{})
                   : Result<TreeSize>(tl::unexpected(parent.error()));
    }
    const std::filesystem::path at = "/proc/self/fd/" + std::to_string(parent->get());
    return move_to_trash(at / relative.filename(), trash, ctx);
}

bool is_folder(const std::filesystem::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}    // namespace

DependencyMount::DependencyMount(process::Runner& runner, std::filesystem::path data,
                                 std::string instance)
    : runner_(runner), data_(std::move(data)), instance_(std::move(instance)) {}

Status DependencyMount::check_name(const std::string& name) const {
    return is_our_name(instance_, name)
               ? Status{}
               : fail(Code::invalid, "'" + printable(name) + "' is not a name of ours");
}

plan::Traits DependencyMount::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::in_place;
    traits.rank = 70;    // after the processes that use it, before the worktree it lies in
    traits.lane = "files";
    traits.title = "mount dependencies";
    return traits;
}

Result<std::vector<std::string>> DependencyMount::list(const std::string& /*place*/,
                                                       const Context& ctx) {
    TRY(ctx.ok());
    TRY_ASSIGN(auto names, mount_records(data_));
    std::erase_if(names, [&](const auto& name) { return !is_our_name(instance_, name); });
    return names;
}

Result<plan::Observation> DependencyMount::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    TRY(check_name(ref.name));
    plan::Observation seen;
    const auto record = read_mount_record(data_, ref.name);
    if (!record && record.error().code == Code::not_found) {
        return seen;
    }
    if (!record) {
        return tl::unexpected(record.error());
    }
    seen.presence = plan::Presence::partial;
    if (record->spec_hash.empty()) {
        seen.detail = "not finished";
        return seen;
    }
    std::set<std::string> overlays;
    if (record->overlay) {
        TRY_ASSIGN(const auto points, mounted());
        for (const auto& point : points) {
            if (point.type == "overlay") {
                overlays.insert(point.path.string());
            }
        }
    }
    std::error_code error;
    const auto worktree = std::filesystem::canonical(record->worktree, error);
    for (const auto& path : record->paths) {
        const auto target = git::tree_folder(worktree) / path;
        if (error || (record->overlay ? !overlays.contains(target.string()) : !is_folder(target))) {
            seen.detail = path + " is not there";
            return seen;
        }
    }
    seen.presence = plan::Presence::ready;
    seen.spec_hash = record->spec_hash;
    seen.detail = record->overlay ? "overlay" : "copy";
    return seen;
}

Status DependencyMount::create(const plan::Ref& ref, const json& spec,
                               const plan::Progress& progress, const Context& ctx) {
    MountRecord record;
    int uid_slot = -1;
    try {
        record.tree = spec.at("tree").get<std::string>();
        const auto worktree = spec.at("worktree").get<std::string>();
        if (!is_our_name(instance_, record.tree) || !is_our_name(instance_, worktree)) {
            return fail(Code::invalid, "a dep-mount spec names something that is not ours");
        }
        record.worktree = std::filesystem::path(spec.at("previews").get<std::string>()) / worktree;
        uid_slot = runner_.privileged() ? spec.value("uid_slot", -1) : -1;
    } catch (const json::exception& error) {
        return fail(Code::internal, std::string("a dep-mount spec is not whole: ") + error.what());
    }
    TRY_ASSIGN(const auto seen, observe(ref, ctx));
    if (seen.presence == plan::Presence::ready && seen.spec_hash == plan::spec_hash(spec)) {
        return {};    // what the preview wrote stays
    }
    TRY_ASSIGN(const auto seal, read_seal(data_ / "trees" / record.tree));
    if (!seal) {
        return fail(Code::unavailable, "the dependency tree " + record.tree + " is not there");
    }
    TRY(destroy(ref, ctx));
    record.paths = seal->paths;
    record.overlay = runner_.privileged();
    TRY(failpoint("dep-mount.record.before"));
    TRY(write_mount_record(data_, ref.name, record));
    TRY(failpoint("dep-mount.record.after"));
    TRY(make_targets(record, uid_slot, ctx));
    if (record.overlay) {
        TRY_ASSIGN(const bool mounted, mount_all(record, uid_slot, ctx));
        if (!mounted) {    // copies do as well
            plan::Removal ignored;
            TRY(undo(record, ignored, ctx));
            record.overlay = false;
            TRY(write_mount_record(data_, ref.name, record));
        }
    }
    if (!record.overlay) {
        TRY(copy_all(record, uid_slot, progress, ctx));
    }
    record.spec_hash = plan::spec_hash(spec);
    TRY(failpoint("dep-mount.done.before"));
    return write_mount_record(data_, ref.name, record);
}

std::string DependencyMount::run_name(const MountRecord& record, const std::string& tool) const {
    return make_name(instance_, "deps-" + tool,
                     crypto::sha256_hex(record.worktree.string() + "\n" + tool));
}

// Runs a tool inside the worktree as its owner: only he may change it, and only what he may
// write anyway can be met through a link in it.
Status DependencyMount::run_as(const MountRecord& record, int uid_slot,
                               std::vector<std::string> argv, const Context& ctx) {
    process::RunSpec run;
    run.name = run_name(record, argv.front());
    run.profile = process::Profile::tool;
    run.argv = std::move(argv);
    run.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};
    run.cwd = git::tree_folder(record.worktree);
    run.writable = {record.deps()};
    run.uid_slot = uid_slot;
    run.log = record.deps() / "log";
    TRY_ASSIGN(const auto ended, runner_.run(run, ctx));
    const std::string said = ended.exit_code == 0 ? "" : log_tail(run.log, 3);
    TRY(runner_.forget(run.name, ctx));
    return ended.exit_code == 0
               ? Status{}
               : fail(Code::failed, "cannot make the folders for the dependencies: " + said,
                      in_the_way);
}

// The folders that the tree is to be seen at, and those for what the preview writes.
Status DependencyMount::make_targets(const MountRecord& record, int uid_slot, const Context& ctx) {
    TRY(make_dirs(record.deps(), 0711));
    TRY_ASSIGN(const Fd tree, open_folder(git::tree_folder(record.worktree)));
    std::vector<std::string> argv{"mkdir", "-p", "--"};
    for (const auto& path : record.paths) {
        const auto there = open_beneath(tree, path, uid_slot < 0);
        if (there) {
            continue;
        }
        if (there.error().code == Code::refused) {
            return fail(Code::failed, there.error().message, in_the_way);
        }
        if (uid_slot < 0) {
            return tl::unexpected(there.error());
        }
        argv.push_back(path);    // missing, or not ours to see
    }
    TRY(failpoint("dep-mount.targets.before"));
    return argv.size() == 3 ? Status{} : run_as(record, uid_slot, std::move(argv), ctx);
}

// False: this kernel or file system has no overlays.
Result<bool> DependencyMount::mount_all(const MountRecord& record, int uid_slot,
                                        const Context& ctx) {
    for (std::size_t i = 0; i < record.paths.size(); ++i) {
        const auto upper = record.layer(i, "upper");
        const auto work = record.layer(i, "work");
        TRY(make_dirs(upper.parent_path(), 0700));    // nobody but the overlay comes in
        TRY(make_dirs(upper, 0755));
        TRY(make_dirs(work, 0700));
        if (uid_slot >= 0) {
            TRY(runner_.own(upper, uid_slot, ctx));    // its owner and mode are what is seen
        }
        TRY(failpoint("dep-mount.mount.before"));
        const auto lower = data_ / "trees" / record.tree / std::to_string(i);
        const auto mounted = runner_.mount(lower, upper, work, record.target(i), ctx);
        if (!mounted && mounted.error().code == Code::refused) {
            return fail(Code::failed, mounted.error().message, in_the_way);
        }
        if (!mounted && mounted.error().code == Code::unavailable) {
            return false;
        }
        TRY(mounted);
        TRY(failpoint("dep-mount.mount.after"));
    }
    return true;
}

Status DependencyMount::copy_all(const MountRecord& record, int uid_slot,
                                 const plan::Progress& progress, const Context& ctx) {
    TRY(make_targets(record, uid_slot, ctx));
    for (std::size_t i = 0; i < record.paths.size(); ++i) {
        if (progress) {
            progress("copying " + record.paths[i]);
        }
        TRY(make_dirs(record.layer(i, "copy").parent_path(), 0755));
        TRY(failpoint("dep-mount.copy.before"));
        TRY(copy_tree(data_ / "trees" / record.tree / std::to_string(i), record.layer(i, "copy"),
                      ctx));
        TRY(failpoint("dep-mount.copy.after"));
        TRY(place_copy(record, i, uid_slot, ctx));
    }
    return {};
}

// Puts a finished copy where it is to be seen, in place of what lies there.
Status DependencyMount::place_copy(const MountRecord& record, std::size_t index, int uid_slot,
                                   const Context& ctx) {
    const auto copy = record.layer(index, "copy");
    if (uid_slot >= 0) {
        TRY(runner_.remove(record.target(index), ctx));
        TRY(runner_.own(copy.parent_path(), uid_slot, ctx));
        return run_as(record, uid_slot, {"mv", "-T", "--", copy.string(), record.paths[index]},
                      ctx);
    }
    const std::filesystem::path path = record.paths[index];
    const auto tree = git::tree_folder(record.worktree);
    TRY(trash_beneath(tree, path.string(), data_ / "trash", ctx));
    TRY_ASSIGN(const Fd root, open_folder(tree));
    TRY_ASSIGN(const Fd parent, open_beneath(root, path.parent_path().string()));
    return ::renameat(AT_FDCWD, copy.c_str(), parent.get(), path.filename().c_str()) == 0
               ? failpoint("dep-mount.place.after")
               : fail_errno("cannot place the copy of " + path.string(), errno);
}

// The kernel knows where the mounts are, whatever the record says was meant and wherever the
// preview has moved the folders above them.
Status DependencyMount::unmount_below(const std::filesystem::path& worktree, const Context& ctx) {
    std::error_code error;
    const auto folder = std::filesystem::canonical(worktree, error);
    if (error) {
        return {};
    }
    TRY_ASSIGN(const auto points, mounted());
    for (auto point = points.rbegin(); point != points.rend(); ++point) {
        if (point->type == "overlay" && point->path.string().starts_with(folder.string() + "/")) {
            TRY(failpoint("dep-mount.undo"));
            TRY(runner_.umount(point->path, ctx));
        }
    }
    return {};
}

// Afterwards nothing of the mount is left but its record and empty folders in the worktree.
Status DependencyMount::undo(const MountRecord& record, plan::Removal& removal,
                             const Context& ctx) {
    if (record.worktree.empty()) {
        return {};
    }
    for (const char* tool : tools) {
        const auto run = run_name(record, tool);
        TRY_ASSIGN(const auto state, runner_.observe(run));
        if (state.phase != process::RunPhase::absent) {
            TRY(runner_.kill(run, std::chrono::milliseconds(0), ctx));
            TRY(runner_.forget(run, ctx));
        }
    }
    if (runner_.privileged()) {
        TRY(unmount_below(record.worktree, ctx));
    }
    for (std::size_t i = 0; i < record.paths.size() && !record.overlay; ++i) {
        TRY(failpoint("dep-mount.undo"));
        if (runner_.privileged()) {
            const auto gone = runner_.remove(record.target(i), ctx);
            if (!gone && gone.error().code != Code::not_found &&
                gone.error().code != Code::refused) {
                return gone;    // behind a link it is not ours
            }
        } else {
            TRY_ASSIGN(const auto size, trash_beneath(git::tree_folder(record.worktree),
                                                      record.paths[i], data_ / "trash", ctx));
            removal.trash_bytes += size.bytes;
        }
    }
    TRY_ASSIGN(const auto size, move_to_trash(record.deps(), data_ / "trash", ctx));
    removal.trash_bytes += size.bytes;
    removal.note = record.overlay ? "unmounted" : "copies removed";
    return {};
}

Result<plan::Removal> DependencyMount::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    TRY(check_name(ref.name));
    plan::Removal removal;
    const auto record = read_mount_record(data_, ref.name);
    if (!record && record.error().code == Code::not_found) {
        removal.note = "was not mounted";
        return removal;
    }
    if (!record) {
        return tl::unexpected(record.error());
    }
    TRY(undo(*record, removal, ctx));
    TRY(failpoint("dep-mount.undone"));
    if (::unlink(mount_record_file(data_, ref.name).c_str()) != 0 && errno != ENOENT) {
        return fail_errno("cannot remove the record of " + ref.name, errno);
    }
    return removal;
}

}    // namespace seatrial::resource
