// The end of a worktree: what people left in it is saved, then its path becomes free.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "git/mirror.h"
#include "git/worktree.h"
#include "resource/folders.h"
#include "resource/mirror_ref.h"
#include "resource/mount_table.h"
#include "resource/settled_index.h"
#include "resource/worktree.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t output_limit = 16 << 20;

bool worth_retrying(const Error& error) {
    return error.code == Code::unavailable || error.code == Code::cancelled ||
           error.code == Code::timed_out;
}

// The size of all; what was touched counts in the tree only, our own files beside it change later.
TreeSize measure_preview(const std::filesystem::path& home, const Context& ctx) {
    TreeSize size = measure_tree(git::tree_folder(home), ctx, index_time(home));
    const auto folder = open_folder(home);
    for (const auto& name : folder ? entries_of(*folder).value_or(std::vector<std::string>())
                                   : std::vector<std::string>()) {
        if (home / name != git::tree_folder(home)) {
            const TreeSize other = measure_tree(home / name, ctx);
            size.bytes += other.bytes;
            size.files += other.files;
        }
    }
    return size;
}

// A rename into the trash needs one file system.
bool same_device(const std::filesystem::path& a, const std::filesystem::path& b) {
    struct stat one{};
    struct stat other{};
    return ::stat(a.c_str(), &one) != 0 || ::stat(b.c_str(), &other) != 0 ||
           one.st_dev == other.st_dev;
}

}    // namespace

Result<std::string> Worktree::save_work(const std::string& name, const Record& record,
                                        const TreeSize& size, const Context& ctx) {
    const auto home = folder(name);
    TRY_ASSIGN(const auto mirror, mirror_folder(data_, record.mirror));
    // Half-made or half-moved trees differ from every commit without anybody's doing; and
    // without its git link there is nothing to compare with.
    if (record.spec.empty() || !git::worktree_intact(home, mirror)) {
        return std::string();
    }
    TRY(drop_stale_locks(name, record.uid_slot, ctx));
    const auto out = home / "salvage";
    if (::access(out.c_str(), F_OK) == 0) {
        TRY(runner_.remove(out, ctx));    // of a killed attempt
    }
    TRY(make_dirs(out, 0755));
    const auto index = out / "settled-index";
    const bool settled = copy_settled_index(home, record.index, size, index);
    if (record.uid_slot >= 0) {
        TRY(runner_.own(out, record.uid_slot, ctx));
    }
    const git::TreeGit run = [&](const std::vector<std::string>& argv,
                                 const std::vector<std::string>& env) -> Result<process::Output> {
        TRY_ASSIGN(const auto ended, run_git(name, "salvage", argv, env, record.uid_slot, ctx));
        process::Output output;
        output.exit_code = ended.exit_code.value_or(-1);
        TRY_ASSIGN(output.out, read_file(home / "salvage.log", output_limit + 4096));
        return output;
    };
    TRY_ASSIGN(const std::string saved,
               git::salvage(run, home, mirror, record.commit, out, settled ? index.string() : ""));
    if (saved.empty()) {
        return std::string();
    }
    TRY(failpoint("worktree.salvage", "before"));
    const git::Mirror target(mirror);
    TRY(target.receive_bundle(out / "salvage.bundle", saved, ctx));
    TRY(target.keep_salvage(name, saved, ctx));
    TRY(failpoint("worktree.salvage", "after"));
    return "refs/st/salvage/" + name + " in mirror " + record.mirror;
}

// HEAD at a commit that we did not put there: a person or the app has committed.
Status Worktree::save_local_commits(const std::string& name, const Record& record,
                                    const plan::Progress& progress, const Context& ctx) {
    const std::string head = git::worktree_head(folder(name));
    if (head.empty() || record.commit.empty() || head == record.commit || head == record.next) {
        return {};
    }
    const auto saved = save_work(name, record, TreeSize(), ctx);
    if (!saved && worth_retrying(saved.error())) {
        return tl::unexpected(saved.error());
    }
    if (progress) {
        progress(saved ? "local commits kept: " + *saved
                       : "local commits are lost: " + render_error(saved.error()));
    }
    return {};
}

Result<plan::Removal> Worktree::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(const auto seen, observe(ref, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return fail(Code::conflict, seen.detail);
    }
    plan::Removal removal{"was not there", 0};
    TRY(end_runs(ref.name, ctx));
    const auto home = folder(ref.name);
    TRY_ASSIGN(const auto files, look(ref.name));
    if (files.presence == plan::Presence::absent) {
        return removal;
    }
    TRY(check_unmounted(home));
    removal.note = "moved to trash";
    TRY_ASSIGN(const auto record, read_record(ref.name));
    const TreeSize size = measure_preview(home, ctx);
    if (record) {
        const auto saved = save_work(ref.name, *record, size, ctx);
        if (!saved && worth_retrying(saved.error())) {
            return tl::unexpected(saved.error());
        }
        if (!saved) {
            removal.note += "; its changes could not be saved: " + render_error(saved.error());
        } else if (!saved->empty()) {
            removal.note += "; unsaved work kept as " + *saved;
        }
    }
    TRY(failpoint("worktree.trash", "before"));
    if (same_device(previews_, data_)) {
        TRY(drop_to_trash(home, data_ / "trash"));
        removal.trash_bytes = size.bytes;
    } else {
        TRY(runner_.remove(home, ctx));
        removal.note.replace(0, std::string_view("moved to trash").size(), "deleted");
    }
    TRY(failpoint("worktree.trash", "after"));
    return removal;
}

}    // namespace seatrial::resource
