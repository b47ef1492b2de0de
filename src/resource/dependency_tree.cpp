#include "resource/dependency_tree.h"

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
#include "process/proc.h"
#include "resource/folders.h"
#include "resource/mount_record.h"
#include "resource/run_spec.h"
#include "resource/sealed_tree.h"

namespace seatrial::resource {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds news_interval{400};
constexpr milliseconds end_grace{2'000};
constexpr milliseconds end_time{30'000};
constexpr const char* synced_file = "synced";
constexpr const char* half_made = ".tmp";    // behind the name of a tree that is being sealed
constexpr const char* steps[] = {"checkout", "install"};

bool present(const std::filesystem::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0;
}

// Good now: made in this boot, or written to disk.
bool is_good(const std::filesystem::path& folder, const Seal& seal) {
    return seal.boot_id == process::boot_id() || present(folder / synced_file);
}

Status ensure_folder(const std::filesystem::path& path, mode_t mode) {
    TRY(make_dirs(path, mode));
    return ::chmod(path.c_str(), mode) == 0 ? Status{}
                                            : fail_errno("cannot set up " + path.string(), errno);
}

}    // namespace

struct DependencyTree::Job {
    std::string name;
    std::string spec_hash;
    std::filesystem::path folder;    // scratch: git/ and tree/
    std::filesystem::path mirror;
    std::string commit;
    std::vector<std::string> keep;
    int uid_slot = -1;
    milliseconds timeout{0};    // 0: the context's alone
    nlohmann::json run;         // resource/run_spec.h
    const plan::Progress* progress = nullptr;

    std::filesystem::path tree() const { return git::tree_folder(folder); }
};

DependencyTree::DependencyTree(process::Runner& runner, std::filesystem::path data,
                               std::string instance, DatabaseUrl database_url)
    : runner_(runner),
      data_(std::move(data)),
      instance_(std::move(instance)),
      database_url_(std::move(database_url)) {}

plan::Traits DependencyTree::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::keep;
    traits.pool = "install";
    traits.rank = 5;
    traits.shared = true;
    traits.title = "install dependencies";
    return traits;
}

std::string DependencyTree::run_name(const std::string& name, const std::string& step) const {
    return make_name(instance_, "deps-" + step, crypto::sha256_hex(name + "\n" + step));
}

Result<std::vector<std::string>> DependencyTree::list(const std::string& /*place*/,
                                                      const Context& ctx) {
    std::set<std::string> names;
    for (const char* folder : {"trees", "scratch"}) {
        const auto opened = open_folder(data_ / folder);
        if (!opened && opened.error().code == Code::not_found) {
            continue;
        }
        if (!opened) {
            return tl::unexpected(opened.error());
        }
        TRY_ASSIGN(const auto entries, entries_of(*opened));
        for (const auto& entry : entries) {
            const auto name = entry.ends_with(half_made)
                                  ? entry.substr(0, entry.size() - std::string(half_made).size())
                                  : entry;
            if (is_our_name(instance_, name)) {
                names.insert(name);
            }
        }
    }
    for (const auto& name : names) {
        TRY(ctx.ok());
        TRY(settle(name));
    }
    return std::vector<std::string>(names.begin(), names.end());
}

// Writes a tree of this boot to disk and notes it.
Status DependencyTree::settle(const std::string& name) const {
    TRY_ASSIGN(const auto seal, read_seal(sealed(name)));
    if (!seal || seal->boot_id != process::boot_id() || present(sealed(name) / synced_file)) {
        return {};
    }
    TRY_ASSIGN(const Fd folder, open_folder(sealed(name)));
    if (::syncfs(folder.get()) != 0) {
        return fail_errno("cannot write a dependency tree to disk", errno);
    }
    return replace_file(sealed(name) / synced_file, "", 0600);
}

Result<plan::Observation> DependencyTree::observe(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    plan::Observation seen;
    if (!is_our_name(instance_, ref.name)) {
        return fail(Code::invalid, "'" + printable(ref.name) + "' is not a name of ours");
    }
    TRY_ASSIGN(const auto seal, read_seal(sealed(ref.name)));
    if (seal && is_good(sealed(ref.name), *seal)) {
        seen.presence = plan::Presence::ready;
        seen.spec_hash = seal->spec_hash;
        seen.detail = std::to_string(seal->files) + " files, " +
                      std::to_string(seal->bytes / 1'000'000) + " MB";
        return seen;
    }
    bool begun = present(sealed(ref.name)) || present(sealed(ref.name + half_made)) ||
                 present(scratch(ref.name));
    for (const char* step : steps) {
        TRY_ASSIGN(const auto run, runner_.observe(run_name(ref.name, step)));
        begun = begun || run.phase != process::RunPhase::absent;
    }
    if (begun) {
        seen.presence = plan::Presence::partial;
        seen.detail = seal ? "perhaps not on disk since the machine restarted" : "being installed";
    }
    return seen;
}

Status DependencyTree::create(const plan::Ref& ref, const nlohmann::json& spec,
                              const plan::Progress& progress, const Context& ctx) {
    TRY_ASSIGN(const auto seen, observe(ref, ctx));
    if (seen.presence == plan::Presence::ready) {
        return {};
    }
    Job job;
    job.name = ref.name;
    job.folder = scratch(ref.name);
    job.progress = &progress;
    try {
        const auto mirror = spec.at("mirror").get<std::string>();
        if (mirror.empty() || mirror.front() == '.' || mirror.find('/') != std::string::npos) {
            return fail(Code::invalid, "'" + printable(mirror) + "' is no mirror");
        }
        job.mirror = data_ / "mirrors" / mirror;
        job.commit = spec.at("commit").get<std::string>();
        job.keep = spec.at("keep").get<std::vector<std::string>>();
        job.uid_slot = runner_.privileged() ? spec.value("uid_slot", -1) : -1;
        job.timeout = milliseconds(spec.value("timeout_ms", 0));
        job.spec_hash = plan::spec_hash(spec);
        job.run = spec;
        job.run["cwd"] = job.tree().string();
        job.run["uid_slot"] = job.uid_slot;
    } catch (const nlohmann::json::exception& error) {
        return fail(Code::internal, std::string("a dep-tree spec is not whole: ") + error.what());
    }
    TRY(clear(ref.name, ctx));
    auto made = make(job, ctx);
    // Also after a failure nothing is worth keeping but the log; a context that has ended must
    // not stop this.
    const Context late = Context().with_timeout(end_time);
    auto ended = end_runs(ref.name, late);
    if (ended) {
        ended = drop_to_trash(job.folder, trash());
    }
    return made ? ended : made;
}

Status DependencyTree::make(const Job& job, const Context& ctx) {
    TRY(check_out(job, ctx));
    TRY(install(job, ctx));
    return seal(job, ctx);
}

// Ends the runs of an earlier create and forgets them.
Status DependencyTree::end_runs(const std::string& name, const Context& ctx) {
    for (const char* step : steps) {
        const auto run = run_name(name, step);
        TRY_ASSIGN(const auto state, runner_.observe(run));
        if (state.phase != process::RunPhase::absent) {
            TRY(runner_.kill(run, end_grace, ctx));
            TRY(runner_.forget(run, ctx));
        }
    }
    return {};
}

// Whatever an earlier create left, finished or not, is out of the way afterwards.
Status DependencyTree::clear(const std::string& name, const Context& ctx) {
    TRY(end_runs(name, ctx));
    for (const auto& path : {scratch(name), sealed(name + half_made), sealed(name)}) {
        TRY(failpoint("dep-tree.clear"));
        TRY(drop_to_trash(path, trash()));
    }
    return {};
}

Status DependencyTree::check_out(const Job& job, const Context& ctx) {
    TRY(ensure_folder(data_ / "scratch", 0711));
    TRY(ensure_folder(job.folder, 0711));
    TRY(failpoint("dep-tree.scratch"));
    TRY(git::add_worktree(job.folder, job.mirror, job.commit));
    if (job.uid_slot >= 0) {
        TRY(runner_.own(git::admin_folder(job.folder), job.uid_slot, ctx));
        TRY(runner_.own(job.tree(), job.uid_slot, ctx));
    }
    TRY(failpoint("dep-tree.checkout.before"));
    process::RunSpec run;
    run.name = run_name(job.name, steps[0]);
    run.profile = process::Profile::tool;
    run.argv = git::checkout_argv(job.commit);
    run.env = git::tree_git_env(job.tree());
    run.cwd = job.tree();
    run.writable = {git::admin_folder(job.folder)};
    run.uid_slot = job.uid_slot;
    run.log = job.folder / "checkout.log";
    TRY_ASSIGN(const auto ended, runner_.run(run, ctx));
    if (ended.exit_code != 0) {
        return fail(Code::unavailable, "cannot check out " + printable(job.commit) + ": " +
                                           render_exit(ended) + "\n" + log_tail(run.log, 5));
    }
    return failpoint("dep-tree.checkout.after");
}

Status DependencyTree::install(const Job& job, const Context& ctx) {
    process::RunSpec run;
    if (const std::filesystem::path home = job.run.value("home", ""); job.uid_slot >= 0) {
        TRY(ensure_folder(home.parent_path(), 0711));    // its owner must reach it
    }
    try {
        TRY_ASSIGN(run, make_run_spec(run_name(job.name, steps[1]), process::Profile::tool, job.run,
                                      runner_, database_url_, ctx));
    } catch (const nlohmann::json::exception& error) {
        return fail(Code::internal, std::string("a dep-tree spec is not whole: ") + error.what());
    }
    // The home is every installation's of the app, what lies in /tmp is this one's.
    run.tmp = job.folder / "tmp";
    TRY(make_dirs(run.tmp, 0700));
    if (job.uid_slot >= 0) {
        TRY(runner_.own(run.tmp, job.uid_slot, ctx));
    }
    std::ranges::replace_if(
        run.env, [](const auto& line) { return line.starts_with("TMPDIR="); },
        "TMPDIR=" + run.tmp.string());
    run.writable.push_back(run.tmp);
    const Context limited = job.timeout.count() > 0 ? ctx.with_timeout(job.timeout) : ctx;
    auto ended = run_telling(run, job, limited);
    if (!ended) {
        if (ended.error().code == Code::timed_out && ended.error().hint.empty()) {
            ended.error().hint =
                "raise install.timeout in seatrial.yaml, or see why it hangs: " + run.log.string();
        }
        return tl::unexpected(ended.error());
    }
    if (ended->exit_code != 0) {
        return fail(
            Code::failed,
            "the install command failed: " + render_exit(*ended) + "\n" + log_tail(run.log, 12),
            "the whole log is " + run.log.string());
    }
    return failpoint("dep-tree.install.after");
}

// Runner::run that tells the log's last line now and then.
Result<process::RunState> DependencyTree::run_telling(const process::RunSpec& run, const Job& job,
                                                      const Context& ctx) {
    TRY(failpoint("dep-tree.install.before"));
    auto started = runner_.start(run, ctx);
    std::string told;
    while (started) {
        auto ended = runner_.wait(run.name, ctx.with_timeout(news_interval));
        if (ended) {
            return ended;
        }
        const auto line = log_tail(run.log, 1);
        if (line != told && !line.empty()) {
            told = line;
            if (*job.progress) {
                (*job.progress)(line);
            }
        }
        if (ended.error().code != Code::timed_out || ctx.expired()) {
            started = tl::unexpected(ended.error());
        }
    }
    return tl::unexpected(started.error());    // the caller ends what runs
}

Status DependencyTree::seal(const Job& job, const Context& ctx) {
    const auto half = sealed(job.name + half_made);
    TRY(ensure_folder(data_ / "trees", 0700));
    if (job.uid_slot >= 0) {
        TRY(runner_.own(job.tree(), -1, ctx));
    }
    TRY_ASSIGN(Seal seal, expand_keep(job.tree(), job.keep).map([](auto paths) {
        Seal fresh;
        fresh.paths = std::move(paths);
        return fresh;
    }));
    seal.spec_hash = job.spec_hash;
    seal.boot_id = process::boot_id();
    TRY(ensure_folder(half, 0700));
    TRY(failpoint("dep-tree.keep.before"));
    for (std::size_t i = 0; i < seal.paths.size(); ++i) {
        const auto to = half / std::to_string(i);
        TRY(take_folder(job.tree(), seal.paths[i], to));
        TRY(prepare_shared(to, seal, ctx));
        TRY(failpoint("dep-tree.keep.after"));
    }
    TRY(write_seal(half, seal));
    TRY(failpoint("dep-tree.seal.before"));
    if (::rename(half.c_str(), sealed(job.name).c_str()) != 0) {
        return fail_errno("cannot seal the dependency tree", errno);
    }
    return failpoint("dep-tree.seal.after");
}

Result<plan::Removal> DependencyTree::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY(ctx.ok());
    if (!is_our_name(instance_, ref.name)) {
        return fail(Code::invalid, "'" + printable(ref.name) + "' is not a name of ours");
    }
    TRY_ASSIGN(const auto users, mounts_of_tree(data_, ref.name));
    if (!users.empty()) {
        return fail(Code::conflict, "the dependency tree is mounted by " + join(users, ", "));
    }
    TRY(end_runs(ref.name, ctx));
    plan::Removal removal;
    for (const auto& path : {scratch(ref.name), sealed(ref.name + half_made), sealed(ref.name)}) {
        TRY(failpoint("dep-tree.destroy"));
        TRY_ASSIGN(const auto size, move_to_trash(path, trash(), ctx));
        removal.trash_bytes += size.bytes;
    }
    removal.note = "moved to trash";
    return removal;
}

}    // namespace seatrial::resource
