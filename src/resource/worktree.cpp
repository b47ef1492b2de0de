#include "resource/worktree.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "git/run.h"
#include "git/worktree.h"
#include "resource/folders.h"
#include "resource/mirror_ref.h"
#include "resource/mount_table.h"
#include "resource/run_spec.h"
#include "resource/settled_index.h"

namespace seatrial::resource {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view checkout_step = "checkout";
constexpr std::string_view salvage_step = "salvage";
constexpr auto end_grace = milliseconds(500);
constexpr auto longest_git = std::chrono::minutes(10);
constexpr std::size_t record_limit = 64 << 10;

bool present(const std::filesystem::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0;
}

Status ensure_folder(const std::filesystem::path& path) {
    TRY(make_dirs(path, 0711));
    return ::chmod(path.c_str(), 0711) == 0 ? Status{}
                                            : fail_errno("cannot set up " + path.string(), errno);
}

// Anything in the tree besides its git link, as far as we may see.
bool has_files(const std::filesystem::path& folder) {
    const auto tree = open_folder(git::tree_folder(folder));
    if (!tree) {
        return present(git::tree_folder(folder));
    }
    const auto names = entries_of(*tree);
    return !names || names->size() > (present(git::tree_folder(folder) / ".git") ? 1U : 0U);
}

}    // namespace

Status Worktree::check_unmounted(const std::filesystem::path& folder) const {
    std::error_code error;
    const auto real = std::filesystem::canonical(folder, error);
    if (error) {
        return {};
    }
    TRY_ASSIGN(const auto points, mounted());
    for (const auto& point : points) {
        if (point.path == real || point.path.string().starts_with(real.string() + "/")) {
            return fail(Code::conflict, "something is still mounted at " + point.path.string(),
                        "unmount it: umount " + point.path.string());
        }
    }
    return {};
}

plan::Traits Worktree::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::in_place;
    traits.pool = "git";
    traits.rank = 40;    // after processes and mounts, before the ref that keeps its commit
    traits.lane = "files";
    traits.title = "worktree";
    return traits;
}

Result<std::optional<Worktree::Record>> Worktree::read_record(const std::string& name) const {
    const auto text = read_file(folder(name) / "spec", record_limit);
    if (!text && text.error().code != Code::not_found) {
        return tl::unexpected(text.error());
    }
    Record record;
    try {
        const json parsed = json::parse(text.value_or(""));
        record.spec = parsed.at("spec").get<std::string>();
        record.mirror = parsed.at("mirror").get<std::string>();
        record.commit = parsed.at("commit").get<std::string>();
        record.next = parsed.at("next").get<std::string>();
        record.index = parsed.value("index", "");
        record.uid_slot = parsed.at("uid_slot").get<int>();
        record.owned = parsed.at("owned").get<bool>();
    } catch (const json::exception&) {
        return std::optional<Record>();    // none yet, or torn by a power cut
    }
    return std::optional<Record>(std::move(record));
}

Status Worktree::write_record(const std::string& name, const Record& record) const {
    const json text = {{"spec", record.spec},     {"mirror", record.mirror},
                       {"commit", record.commit}, {"next", record.next},
                       {"index", record.index},   {"uid_slot", record.uid_slot},
                       {"owned", record.owned}};
    return replace_file(folder(name) / "spec", text.dump(1) + "\n", 0600);
}

std::string Worktree::run_name(const std::string& name, std::string_view step) const {
    const std::string text(step);
    return make_name(instance_, "tree-" + text, crypto::sha256_hex(name + "\n" + text));
}

Result<std::vector<std::string>> Worktree::list(const std::string& /*place*/, const Context& ctx) {
    TRY(ctx.ok());
    std::vector<std::string> names;
    const auto opened = open_folder(previews_);
    if (!opened) {
        return opened.error().code == Code::not_found ? Result<std::vector<std::string>>(names)
                                                      : tl::unexpected(opened.error());
    }
    TRY_ASSIGN(names, entries_of(*opened));
    std::erase_if(names, [&](const auto& name) { return !is_our_name(instance_, name); });
    return names;
}

// What the files say.
Result<plan::Observation> Worktree::look(const std::string& name) const {
    plan::Observation seen;
    struct stat info{};
    if (::lstat(folder(name).c_str(), &info) != 0) {
        return errno == ENOENT ? Result<plan::Observation>(seen)
                               : fail_errno("cannot look at " + folder(name).string(), errno);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) {
        seen.presence = plan::Presence::foreign;
        seen.detail = folder(name).string() + " is not a folder of ours";
        return seen;
    }
    seen.presence = plan::Presence::partial;
    TRY_ASSIGN(const auto record, read_record(name));
    const std::string head = git::worktree_head(folder(name));
    seen.detail = head.empty() ? "not checked out" : "HEAD " + head.substr(0, 12);
    if (record && !record->spec.empty() && head == record->commit &&
        present(git::tree_folder(folder(name)))) {
        seen.presence = plan::Presence::ready;
        seen.spec_hash = record->spec;
    }
    return seen;
}

Result<plan::Observation> Worktree::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    if (!is_our_name(instance_, ref.name)) {
        return fail(Code::invalid, "'" + printable(ref.name) + "' is not a name of ours");
    }
    TRY_ASSIGN(auto seen, look(ref.name));
    if (seen.presence == plan::Presence::absent) {
        for (const auto step : {checkout_step, salvage_step}) {
            TRY_ASSIGN(const auto run, runner_.observe(run_name(ref.name, step)));
            if (run.phase != process::RunPhase::absent) {
                seen.presence = plan::Presence::partial;
                seen.detail = "a git of it is left";
            }
        }
    }
    return seen;
}

// Gits of an earlier create or destroy: nobody waits for them any more.
Status Worktree::end_runs(const std::string& name, const Context& ctx) {
    for (const auto step : {checkout_step, salvage_step}) {
        const std::string run = run_name(name, step);
        TRY_ASSIGN(const auto state, runner_.observe(run));
        if (state.phase != process::RunPhase::absent) {
            TRY(runner_.kill(run, end_grace, ctx));
            TRY(runner_.forget(run, ctx));
        }
    }
    return {};
}

Result<process::RunState> Worktree::run_git(const std::string& name, std::string_view step,
                                            std::vector<std::string> argv,
                                            std::vector<std::string> env, int uid_slot,
                                            const Context& ctx) {
    process::RunSpec run;
    run.name = run_name(name, step);
    run.profile = process::Profile::tool;
    run.argv = std::move(argv);
    run.env = std::move(env);
    run.cwd = git::tree_folder(folder(name));
    run.writable = {git::admin_folder(folder(name))};
    if (step == salvage_step) {
        run.writable.push_back(folder(name) / "salvage");
    }
    run.uid_slot = uid_slot;
    run.log = folder(name) / (std::string(step) + ".log");
    ::unlink(run.log.c_str());    // it is read as this run's output
    auto ended = runner_.run(run, ctx.with_timeout(longest_git));
    if (ended) {
        TRY(runner_.forget(run.name, ctx));
    }
    return ended;
}

// A git that was killed in a tree where nothing else runs. Without root nobody can tell whose a
// process is; the components of a preview are stopped before its tree is moved.
Status Worktree::drop_stale_locks(const std::string& name, int uid_slot, const Context& ctx) {
    const auto locks = git::worktree_locks(folder(name));
    if (locks.empty()) {
        return {};
    }
    TRY_ASSIGN(const bool idle, uid_slot < 0 ? Result<bool>(true) : runner_.uid_idle(uid_slot));
    if (!idle) {
        return fail(Code::unavailable, "a git of the preview holds " + locks.front().string());
    }
    for (const auto& lock : locks) {
        TRY(runner_.remove(lock, ctx));
    }
    return {};
}

Status Worktree::clear(const std::string& name, const Context& ctx) {
    TRY(check_unmounted(folder(name)));
    TRY(failpoint("worktree.clear", "before"));
    TRY(runner_.remove(git::tree_folder(folder(name)), ctx));
    TRY(runner_.remove(git::admin_folder(folder(name)), ctx));
    return failpoint("worktree.clear", "after");
}

// Tree and git folder, whole and in the preview's hands.
Status Worktree::add(const std::string& name, Record& record, const Context& ctx) {
    const auto tree = git::tree_folder(folder(name));
    const auto admin = git::admin_folder(folder(name));
    record.owned = false;
    record.spec.clear();
    TRY(write_record(name, record));
    TRY(failpoint("worktree.add", "before"));
    if (record.uid_slot >= 0) {
        for (const auto& path : {tree, admin}) {    // of a half-made one: ours while we mend it
            if (present(path)) {
                TRY(check_unmounted(folder(name)));
                TRY(runner_.own(path, -1, ctx));
            }
        }
    }
    TRY(git::add_worktree(folder(name), data_ / "mirrors" / record.mirror, record.next));
    TRY(failpoint("worktree.add", "after"));
    if (record.uid_slot >= 0) {
        TRY(runner_.own(admin, record.uid_slot, ctx));
        TRY(runner_.own(tree, record.uid_slot, ctx));
    }
    record.owned = true;
    return {};
}

Status Worktree::check_out(const std::string& name, const Record& record, const Context& ctx) {
    TRY(drop_stale_locks(name, record.uid_slot, ctx));
    TRY(failpoint("worktree.checkout", "before"));
    TRY_ASSIGN(const auto ended,
               run_git(name, checkout_step, git::checkout_argv(record.next),
                       git::tree_git_env(git::tree_folder(folder(name))), record.uid_slot, ctx));
    TRY(failpoint("worktree.checkout", "after"));
    const auto log = folder(name) / "checkout.log";
    if (ended.exit_code != 0) {
        process::Output output;
        output.exit_code = ended.exit_code.value_or(-1);
        output.err = log_tail(log, 5);
        Error error = git::git_error("cannot check out " + record.next.substr(0, 12), output);
        if (output.exit_code < 0 || output.exit_code > 128) {
            error.code = output.err.empty() ? Code::unavailable : error.code;
            error.message += " (" + render_exit(ended) + ")";
        }
        return tl::unexpected(std::move(error));
    }
    ::unlink(log.c_str());
    if (git::worktree_head(folder(name)) != record.next) {
        return fail(Code::unavailable, "the checkout ended, but HEAD is elsewhere");
    }
    return {};
}

Result<Worktree::Record> Worktree::read_spec(const json& spec) const {
    Record wanted;
    try {
        wanted.mirror = spec.at("mirror").get<std::string>();
        wanted.next = spec.at("commit").get<std::string>();
        wanted.uid_slot = runner_.privileged() ? spec.value("uid_slot", -1) : -1;
        wanted.fresh = spec.value("fresh", false);
    } catch (const json::exception& error) {
        return fail(Code::internal, std::string("a worktree spec is not whole: ") + error.what());
    }
    TRY(mirror_folder(data_, wanted.mirror));
    if (!git::is_commit_id(wanted.next)) {
        return fail(Code::invalid, "'" + printable(wanted.next) + "' is no commit id");
    }
    return wanted;
}

// Brings tree and git folder to where a checkout can begin.
Status Worktree::prepare(const std::string& name, const std::optional<Record>& before,
                         Record& wanted, const Context& ctx) {
    const auto home = folder(name);
    if (before) {
        wanted.commit = before->commit;
        wanted.owned = before->owned && before->uid_slot == wanted.uid_slot;
    }
    // What cannot be moved is made anew: another repository's tree; with `fresh` all but what
    // this very spec has begun; a tree whose index is gone (what only the old commit had would
    // stay) or whose making or clearing was interrupted.
    const bool other_app = before && before->mirror != wanted.mirror;
    const bool other_life = wanted.fresh && before && before->next != wanted.next;
    const bool first_checkout = before && before->owned && before->commit.empty() &&
                                before->next == wanted.next;    // all files are of that commit
    const bool unknown_files =
        has_files(home) && !first_checkout &&
        ((before && !before->owned) || !present(git::admin_folder(home) / "index"));
    if (other_app || other_life || unknown_files) {
        TRY(check_unmounted(home));
        wanted.owned = false;
        TRY(write_record(name, wanted));
        TRY(clear(name, ctx));
    }
    if (!wanted.owned || !git::worktree_intact(home, data_ / "mirrors" / wanted.mirror)) {
        auto added = add(name, wanted, ctx);
        if (!added && added.error().code == Code::conflict) {
            TRY(clear(name, ctx));    // an app has put folders where git has files
            added = add(name, wanted, ctx);
        }
        TRY(added);
    }
    return write_record(name, wanted);    // under way from here, whatever HEAD says
}

// A tree that git cannot move although the commit is there (its index is spoilt, the app has
// taken away its own rights) is made anew.
Status Worktree::check_out_or_rebuild(const std::string& name, Record& wanted, const Context& ctx) {
    auto moved = check_out(name, wanted, ctx);
    if (moved || moved.error().code != Code::failed) {
        return moved;
    }
    const git::Mirror mirror(data_ / "mirrors" / wanted.mirror);
    TRY_ASSIGN(const bool there, mirror.has_commit(wanted.next, ctx));
    if (!there) {
        return moved;
    }
    TRY(check_unmounted(folder(name)));
    wanted.owned = false;
    TRY(write_record(name, wanted));
    TRY(clear(name, ctx));
    TRY(prepare(name, std::nullopt, wanted, ctx));
    return check_out(name, wanted, ctx);
}

Status Worktree::create(const plan::Ref& ref, const json& spec, const plan::Progress& progress,
                        const Context& ctx) {
    TRY_ASSIGN(const auto seen, observe(ref, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return fail(Code::conflict, seen.detail);
    }
    TRY_ASSIGN(Record wanted, read_spec(spec));
    const std::string hash = plan::spec_hash(spec);
    const auto home = folder(ref.name);
    if (seen.presence == plan::Presence::ready && seen.spec_hash == hash &&
        git::worktree_intact(home, data_ / "mirrors" / wanted.mirror)) {
        return {};
    }
    TRY(end_runs(ref.name, ctx));
    TRY(make_dirs(previews_, 0711));
    TRY(ensure_folder(home));
    TRY(failpoint("worktree.folder", "after"));
    TRY_ASSIGN(const auto before, read_record(ref.name));
    if (before) {
        TRY(save_local_commits(ref.name, *before, progress, ctx));
    }
    TRY(prepare(ref.name, before, wanted, ctx));
    TRY(check_out_or_rebuild(ref.name, wanted, ctx));
    wanted.commit = wanted.next;
    wanted.next.clear();
    wanted.index = index_identity(home);
    wanted.spec = hash;
    TRY(write_record(ref.name, wanted));
    return failpoint("worktree.ready", "after");
}

}    // namespace seatrial::resource
