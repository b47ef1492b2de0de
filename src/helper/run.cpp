#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/failpoint.h"
#include "helper/server.h"
#include "process/confine.h"
#include "process/landlock.h"
#include "process/proc.h"
#include "process/run_files.h"
#include "process/shim.h"
#include "process/uid_range.h"

namespace seatrial::helper {
namespace {

using process::Failure;
using process::RunRequest;

// Everything that lives in the shim until the command has been started.
struct Start {
    RunRequest request;
    process::Confinement to;
    process::Shim shim;
    Fd cwd;
    process::PrivateTmp tmp;
    Fd landlock;
    Fd null;
    Fd output;
    Fd go_read;
    Fd go_write;
    Fd failure_read;
    Fd failure_write;
    std::uint64_t pipe = 0;    // inode of the output pipe
};

Status make_pipe(Fd& read, Fd& write) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        return fail_errno("cannot make a pipe", errno);
    }
    read = Fd(fds[0]);
    write = Fd(fds[1]);
    return {};
}

Status choose_identity(const Server& server, Start& start) {
    const int slot = start.request.uid_slot;
    if (slot >= 0 && !server.root) {
        return fail(Code::unavailable, "an own user per preview needs root");
    }
    const uid_t own = process::first_uid(server.instance) + static_cast<uid_t>(std::max(slot, 0));
    start.to.uid = slot < 0 ? server.uid : own;
    start.to.gid = slot < 0 ? server.gid : own;
    start.to.root = server.root;
    return {};
}

Status prepare_view(const Server& server, Start& start) {
    const RunRequest& asked = start.request;
    if (!server.private_tmp) {
        return {};
    }
    Fd folder;
    if (!asked.tmp.empty()) {
        TRY_ASSIGN(folder, process::open_below(server.roots, asked.tmp, O_PATH | O_DIRECTORY));
    }
    TRY_ASSIGN(start.tmp, process::make_private_tmp(folder));
    start.to.private_tmp = true;
    start.to.cwd_path = process::absolute_path(server.roots, asked.cwd);
    process::PrivateView& view = start.to.view;
    view.mounts = &start.tmp;
    view.own = process::owner_folder(server.roots, asked.cwd);
    view.roots.emplace_back(server.roots.data_path, server.roots.data.get());
    if (server.roots.worktrees) {
        view.roots.emplace_back(server.roots.worktrees_path, server.roots.worktrees.get());
    }
    for (const auto& path : asked.shown) {
        if (path.starts_with('/') && process::is_private(path) &&
            path.find("..") == std::string::npos && path.find("//") == std::string::npos) {
            view.shown.push_back(path);
        }
    }
    view.uid = start.to.uid;
    view.gid = start.to.gid;
    return {};
}

Status open_landlock(const Server& server, Start& start) {
    if (process::landlock_abi() == 0) {
        return {};
    }
    std::vector<Fd> places;
    for (const int own : {start.tmp.tmp.get(), start.tmp.shm.get()}) {
        if (start.to.private_tmp) {
            places.emplace_back(::fcntl(own, F_DUPFD_CLOEXEC, 3));
        }
    }
    for (const char* shared : {"/dev", "/tmp", "/var/tmp"}) {
        if (start.to.private_tmp && shared != std::string_view("/dev")) {
            continue;
        }
        if (Fd place(::open(shared, O_PATH | O_CLOEXEC)); place) {
            places.push_back(std::move(place));
        }
    }
    for (const auto& path : start.request.writable) {
        TRY_ASSIGN(Fd place, process::open_below(server.roots, path, O_PATH));
        places.push_back(std::move(place));
    }
    places.emplace_back(::fcntl(start.cwd.get(), F_DUPFD_CLOEXEC, 3));
    TRY_ASSIGN(start.landlock, process::make_landlock(places, start.request.tcp_bind));
    start.to.landlock = start.landlock.get();
    return {};
}

// Reads and opens all that the request names; nothing has been changed yet.
Status prepare(const Server& server, Request& request, Start& start) {
    TRY_ASSIGN(start.request, process::decode_run(request.fields));
    const RunRequest& asked = start.request;
    TRY(check_name(server, asked.name));
    TRY(choose_identity(server, start));
    if (asked.profile == process::Profile::edge && asked.uid_slot >= 0) {
        return fail(Code::invalid, "only the daemon's own user may have low ports");
    }
    if (request.fds.size() != (asked.has_seccomp ? 4U : 3U)) {
        return fail(Code::invalid, "the request is malformed");
    }
    start.shim.run_folder = std::move(request.fds[0]);
    start.shim.lock = std::move(request.fds[1]);
    start.shim.log = std::move(request.fds[2]);
    if (asked.has_seccomp) {
        TRY(process::read_seccomp(request.fds[3], start.to.seccomp));
    }
    TRY_ASSIGN(start.cwd, process::open_below(server.roots, asked.cwd, O_PATH | O_DIRECTORY));
    TRY(prepare_view(server, start));
    TRY(open_landlock(server, start));
    start.null = Fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    TRY(make_pipe(start.shim.output, start.output));
    TRY(make_pipe(start.go_read, start.go_write));
    TRY(make_pipe(start.failure_read, start.failure_write));
    ::fcntl(start.shim.output.get(), F_SETFL, O_NONBLOCK);
    start.shim.log_bytes = asked.log_bytes;
    start.shim.life = asked.profile == process::Profile::tool ? server.life.get() : -1;
    return {};
}

// Fresh groups; what an earlier run of this name left in them (its shim was killed) ends.
Status make_groups(const Server& server, Start& start) {
    const std::string& name = start.request.name;
    process::Members leftovers = members_of_run(server, name);
    if (!leftovers.cgroup.empty()) {
        TRY(process::end_members(leftovers, std::chrono::milliseconds(0),
                                 Context().with_timeout(std::chrono::seconds(10))));
        TRY(process::remove_cgroups(server.cgroups, name));
    }
    TRY(failpoint("helper.run.before_cgroup"));
    TRY(process::create_cgroups(server.cgroups, name, start.request.limits));
    TRY(failpoint("helper.run.cgroup_made"));
    TRY(process::enter_cgroups(server.cgroups, name, "shim", 0));
    process::Shim& shim = start.shim;
    shim.members = members_of_run(server, name);
    shim.members.shim = ::getpid();
    if (!shim.members.kill_file.empty()) {
        shim.members.kill_fd = ::open(shim.members.kill_file.c_str(), O_WRONLY | O_CLOEXEC);
    }
    if (const auto file = process::oom_file(server.cgroups, name); !file.empty()) {
        shim.oom = Fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    }
    return {};
}

// The command, held back until the state is written.
Status fork_command(const Server& server, Start& start) {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    ::sigprocmask(SIG_SETMASK, &watched, nullptr);
    start.shim.signals = Fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    start.to.cgroups = &server.cgroups;
    start.to.request = &start.request;
    start.to.shim = ::getpid();
    start.to.cwd = start.cwd.get();
    start.to.null = start.null.get();
    start.to.output = start.output.get();
    start.to.go = start.go_read.get();
    start.to.failure = start.failure_write.get();
    TRY(failpoint("helper.run.before_fork"));
    start.shim.command = ::fork();
    if (start.shim.command < 0) {
        return fail_errno("cannot fork", errno);
    }
    if (start.shim.command == 0) {
        start.go_write.reset();
        process::become_command(start.to);
    }
    start.go_read.reset();
    start.failure_write.reset();
    // By us and not by the command itself: whoever reads the state finds it in its group.
    TRY(process::enter_cgroups(server.cgroups, start.request.name, "app", start.shim.command));
    struct stat info{};
    ::fstat(start.output.get(), &info);
    start.pipe = info.st_ino;
    start.output.reset();
    for (const int fd : {0, 1, 2}) {
        ::dup2(start.null.get(), fd);
    }
    return {};
}

Status write_state(const Server& server, Start& start) {
    const auto self = process::proc_stat(::getpid());
    if (!self) {
        return fail(Code::unavailable, "/proc does not show the shim");
    }
    process::RunRecord record;
    record.boot_id = process::boot_id();
    record.shim = ::getpid();
    record.shim_start = self->start_ticks;
    record.pipe = start.pipe;
    record.uid = start.to.uid;
    record.profile = start.request.profile;
    record.started_at = now_utc();
    record.cgroup = process::app_cgroup(server.cgroups, start.request.name);
    TRY(failpoint("helper.run.before_state"));
    TRY(process::reserve_run_file(start.shim.run_folder, "exit"));
    TRY(process::write_run_file(start.shim.run_folder, "state", process::render_record(record)));
    return failpoint("helper.run.state_written");
}

Status begin(const Server& server, Request& request, Start& start) {
    TRY(prepare(server, request, start));
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::prctl(PR_SET_NAME, "seatrial-shim", 0, 0, 0);
    TRY(make_groups(server, start));
    TRY(fork_command(server, start));
    TRY(process::become_shim(server.uid, server.gid));
    return write_state(server, start);
}

// Lets the command go. A fault of the program itself is a run that ended with 126 or 127; any
// other means that it could not be protected and was not run: an error.
Status release(Start& start) {
    [[maybe_unused]] const auto written = ::write(start.go_write.get(), "g", 1);
    start.go_write.reset();
    Failure failure;
    if (::read(start.failure_read.get(), &failure, sizeof failure) != sizeof failure) {
        return failpoint("helper.run.started");
    }
    const std::string text = "'" + start.request.argv[0] + "': " + process::describe(failure);
    process::log_line(start.shim, text);
    if (failure.stage == Failure::exec || failure.stage == Failure::cwd) {
        return {};
    }
    process::write_exit(start.shim, 126);
    return fail(Code::unavailable, text, "the command was not run without its protection");
}

// After a failure: whoever gets the reply finds no process of the run and its lock free.
void end_start(Request& request, Start& start) {
    if (start.shim.command > 0) {
        start.go_write.reset();
        start.shim.members.kill_now();
        ::kill(start.shim.command, SIGKILL);    // our child, not yet reaped: its number is its own
        int status = 0;
        ::waitpid(start.shim.command, &status, __WALL);
    }
    start.shim.lock.reset();
    request.fds.clear();
}

}    // namespace

process::Members members_of_run(const Server& server, const std::string& name) {
    process::Members members = process::members_of(server.cgroups, name);
    members.first_uid = process::first_uid(server.instance);
    members.last_uid = members.first_uid + static_cast<uid_t>(process::uid_slots) - 1;
    members.other_uid = server.uid;
    return members;
}

void serve_run(const Server& server, Request& request) {
    ::prctl(PR_SET_PDEATHSIG, 0);    // a component outlives helper and daemon
    ::signal(SIGCHLD, SIG_DFL);
    process::Shim shim;
    bool started = false;
    {
        Start start;
        Status status = begin(server, request, start);
        if (status) {
            status = release(start);
            started = status.has_value();
        }
        if (!started) {
            end_start(request, start);
        }
        send_reply(request, status ? Result<std::string>("") : tl::unexpected(status.error()));
        shim = std::move(start.shim);
    }
    if (started) {
        request = Request{};
        ::malloc_trim(0);    // the request may have been large, and the shim stays long
        process::run_shim(shim);
    }
    ::_exit(0);
}

}    // namespace seatrial::helper
