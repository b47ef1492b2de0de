#include "process/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/failpoint.h"
#include "base/names.h"
#include "process/members.h"
#include "process/proc.h"
#include "process/runner_impl.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;

// For the moments between two files of a run that nothing announces.
constexpr auto settle = milliseconds(2);
// After its processes have ended the shim only has to write one file.
constexpr auto shim_end = milliseconds(5000);
constexpr auto cancelled_grace = milliseconds(2000);
constexpr auto cancelled_end = milliseconds(30000);

template <class Record>
std::optional<Record> read_record(const std::filesystem::path& path,
                                  std::optional<Record> (*parse)(std::string_view)) {
    const auto text = read_file(path, 1 << 16);
    return text ? parse(*text) : std::nullopt;
}

// The run's folder with its lock taken: nobody else starts, ends or forgets the run.
struct Held {
    Fd folder;
    Fd lock;
};

Result<Held> hold(const std::filesystem::path& folder, bool create) {
    while (true) {
        if (create) {
            TRY(make_dirs(folder, 0700));
        }
        Held held;
        held.folder = Fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!held.folder) {
            return fail_errno("cannot open " + folder.string(), errno);
        }
        held.lock = Fd(
            ::openat(held.folder.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!held.lock) {
            if (errno == ENOENT && create) {
                continue;    // forgotten at this moment
            }
            return fail_errno("cannot open the lock in " + folder.string(), errno);
        }
        TRY(take_lock(held.lock));
        struct stat info{};
        if (::fstat(held.lock.get(), &info) == 0 && info.st_nlink > 0) {
            return held;
        }
    }
}

Result<Fd> open_log(const std::filesystem::path& path) {
    TRY(make_dirs(path.parent_path(), 0750));
    Fd log(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
    if (!log) {
        return fail_errno("cannot open log " + path.string(), errno);
    }
    return log;
}

Result<Fd> open_shim(const RunLook& seen) {
    if (!seen.locked || !seen.record) {
        return fail(Code::not_found, "the run is not running");
    }
    return open_process(seen.record->shim, seen.record->shim_start);
}

RunState state_of(const RunLook& seen) {
    RunState state;
    if (!seen.folder) {
        return state;
    }
    state.phase = !seen.locked  ? RunPhase::exited
                  : seen.record ? RunPhase::running
                                : RunPhase::starting;
    if (seen.record) {
        state.shim = seen.locked ? seen.record->shim : 0;
        state.boot_id = seen.record->boot_id;
        state.uid = seen.record->uid;
        state.started_at = seen.record->started_at;
    }
    if (!seen.locked) {
        state.exit_code = seen.exit ? seen.exit->code : -1;
        state.finished_at = seen.exit ? seen.exit->finished_at : WallTime{};
        state.oom_killed = seen.exit && seen.exit->oom_killed;
    }
    return state;
}

}    // namespace

Status Runner::Impl::check_name(const std::string& name) const {
    if (!is_our_name(instance, name)) {
        return fail(Code::invalid, "'" + name + "' is not a name of this instance");
    }
    return {};
}

Result<std::string> Runner::Impl::relative(const std::filesystem::path& path) const {
    const auto plain = path.lexically_normal();
    for (const auto& top : {given, data}) {
        const std::string inside = plain.lexically_relative(top).string();
        if (path.is_absolute() && !inside.empty() && !inside.starts_with("..")) {
            return inside.ends_with('/') ? inside.substr(0, inside.size() - 1) : inside;
        }
    }
    if (!worktrees.empty() && plain.string().starts_with(worktrees + "/")) {
        return plain.has_filename() ? plain.string() : plain.parent_path().string();
    }
    return fail(Code::refused, path.string() + " is not below " + given.string());
}

Result<RunLook> Runner::Impl::look(const std::string& name) const {
    TRY(check_name(name));
    const auto place = folder(name);
    while (true) {
        RunLook seen;
        const Fd lock(::open((place / "lock").c_str(), O_RDONLY | O_CLOEXEC));
        if (lock) {
            TRY_ASSIGN(seen.locked, is_locked(lock));
        } else if (errno != ENOENT) {
            return fail_errno("cannot look at run " + name, errno);
        }
        struct stat info{};
        seen.folder = ::stat(place.c_str(), &info) == 0;
        seen.record = read_record(place / "state", parse_record);
        seen.exit = read_record(place / "exit", parse_exit);
        if (seen.locked || !lock) {
            return seen;
        }
        // A start in between takes the lock and then removes the old files.
        TRY_ASSIGN(const bool locked_now, is_locked(lock));
        if (!locked_now) {
            return seen;
        }
    }
}

Status Runner::start(const RunSpec& spec, const Context& ctx) {
    TRY(impl_->check_name(spec.name));
    RunRequest request{spec.name,
                       spec.profile,
                       spec.uid_slot,
                       spec.limits,
                       spec.argv,
                       spec.env,
                       "",
                       {},
                       spec.log_bytes,
                       spec.tcp_bind,
                       static_cast<bool>(impl_->seccomp),
                       {},
                       {}};
    TRY_ASSIGN(request.cwd, impl_->relative(spec.cwd));
    for (const auto& path : spec.writable) {
        TRY_ASSIGN(auto inside, impl_->relative(path));
        request.writable.push_back(std::move(inside));
    }
    if (!spec.tmp.empty()) {
        TRY_ASSIGN(request.tmp, impl_->relative(spec.tmp));
    }
    request.shown.assign(spec.shown.begin(), spec.shown.end());
    TRY_ASSIGN([[maybe_unused]] const auto log_inside, impl_->relative(spec.log));
    TRY(failpoint("runner.start.before"));
    auto held = hold(impl_->folder(spec.name), true);
    if (!held) {
        return wrap(std::move(held.error()), "cannot start '" + spec.name + "'");
    }
    TRY(failpoint("runner.start.locked"));
    ::unlinkat(held->folder.get(), "exit", 0);
    ::unlinkat(held->folder.get(), "state", 0);
    TRY_ASSIGN(const Fd log, open_log(spec.log));
    std::vector<int> fds{held->folder.get(), held->lock.get(), log.get()};
    if (impl_->seccomp) {
        fds.push_back(impl_->seccomp.get());
    }
    TRY_ASSIGN([[maybe_unused]] const auto reply,
               impl_->call(Verb::run, encode(request), fds, ctx));
    return failpoint("runner.start.after");
}

Result<RunState> Runner::run(const RunSpec& spec, const Context& ctx) {
    auto ended = start(spec, ctx).and_then([&] { return wait(spec.name, ctx); });
    if (!ended && ended.error().code != Code::conflict) {
        // With a context of its own: the caller's has ended, the processes must still end too.
        TRY(kill(spec.name, cancelled_grace, Context().with_timeout(cancelled_end)));
    }
    return ended;
}

Result<RunState> Runner::observe(const std::string& name) const {
    TRY_ASSIGN(const RunLook seen, impl_->look(name));
    RunState state = state_of(seen);
    if (state.phase == RunPhase::exited && !seen.exit) {
        const std::string file = oom_file(impl_->cgroups, name);
        const auto counters = file.empty() ? Result<std::string>("") : read_file(file, 4096);
        state.oom_killed = counters && counts_oom_kill(*counters);
    }
    return state;
}

Result<RunState> Runner::wait(const std::string& name, const Context& ctx) const {
    while (true) {
        TRY_ASSIGN(const RunLook seen, impl_->look(name));
        if (!seen.folder) {
            return fail(Code::not_found, "there is no run '" + name + "'");
        }
        if (!seen.locked) {
            return observe(name);
        }
        const auto shim = open_shim(seen);
        if (shim) {
            TRY_ASSIGN([[maybe_unused]] const short ended, wait_fd(shim->get(), POLLIN, ctx));
        } else {
            TRY(wait_for(settle, ctx));    // starting, or ending this very moment
        }
    }
}

Result<Fd> Runner::watch(const std::string& name) const {
    TRY_ASSIGN(const RunLook seen, impl_->look(name));
    return open_shim(seen);
}

Status Runner::kill(const std::string& name, milliseconds grace, const Context& ctx) {
    while (true) {
        TRY_ASSIGN(const RunLook seen, impl_->look(name));
        KillRequest request{name, grace, milliseconds(3600 * 1000), 0, 0, 0};
        if (const int left = ctx.poll_timeout(); left >= 0) {
            request.timeout = std::min(request.timeout, milliseconds(left));
        }
        Fd shim;
        if (auto opened = open_shim(seen); opened) {
            shim = std::move(*opened);
            send_signal(shim, SIGTERM);    // it leaves the ending, and the grace, to us
            request.shim = seen.record->shim;
            request.shim_start = seen.record->shim_start;
        }
        // Of an earlier boot nothing is left, and its numbers mean something else now.
        if (seen.record && seen.record->boot_id == boot_id()) {
            request.pipe = seen.record->pipe;
        }
        TRY_ASSIGN([[maybe_unused]] const auto reply,
                   impl_->call(Verb::kill, encode(request), {}, ctx));
        if (!seen.locked) {
            return {};
        }
        if (!shim) {
            TRY(wait_for(settle, ctx));
            continue;
        }
        const auto ended = wait_fd(shim.get(), POLLIN, ctx.with_timeout(shim_end));
        if (!ended) {
            TRY(ctx.ok());
            send_signal(shim, SIGKILL);
        }
    }
}

Status Runner::forget(const std::string& name, const Context& ctx) {
    TRY(impl_->check_name(name));
    const auto place = impl_->folder(name);
    auto held = hold(place, false);
    if (!held && held.error().code != Code::not_found) {
        return wrap(std::move(held.error()), "cannot forget '" + name + "'");
    }
    TRY(failpoint("runner.forget.before"));
    TRY_ASSIGN([[maybe_unused]] const auto reply,
               impl_->call(Verb::forget, encode(PlainRequest{{name}, 0}), {}, ctx));
    TRY(failpoint("runner.forget.cgroups_gone"));
    // The lock goes last, with the folder: until then the name is not free for a start.
    for (const char* file : {"state.tmp", "exit.tmp", "state", "exit"}) {
        if (held) {
            ::unlinkat(held->folder.get(), file, 0);
        }
    }
    std::error_code error;
    std::filesystem::remove_all(place, error);
    if (error) {
        return fail_errno("cannot remove " + place.string(), error.value());
    }
    return failpoint("runner.forget.after");
}

}    // namespace seatrial::process
