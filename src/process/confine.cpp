#include "process/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "process/landlock.h"
#include "process/proc.h"
#include "process/spawn.h"

namespace seatrial::process {
namespace {

bool set_limit(decltype(RLIMIT_CORE) what, std::int64_t value) {
    rlimit limit{};
    ::getrlimit(what, &limit);
    // Without root a hard limit can only be lowered.
    const rlim_t wanted = std::min(static_cast<rlim_t>(value), limit.rlim_max);
    limit = {wanted, wanted};
    return ::setrlimit(what, &limit) == 0;
}

// RLIMIT_NPROC counts all processes of the uid, so it is only for where no cgroup counts ours.
std::int64_t process_limit(const Confinement& to) {
    std::int64_t others = 0;
    for (const pid_t pid : all_pids()) {
        others += proc_uid(pid) == to.uid ? 1 : 0;
    }
    return others + to.request->limits.pids;
}

bool set_limits(const Confinement& to) {
    const Limits& limits = to.request->limits;
    // NOFILE last: counting the processes needs descriptors.
    return set_limit(RLIMIT_CORE, 0) &&
           (limits.file_bytes == 0 || set_limit(RLIMIT_FSIZE, limits.file_bytes)) &&
           (limits.pids == 0 || to.cgroups->has("pids") ||
            set_limit(RLIMIT_NPROC, process_limit(to))) &&
           set_limit(RLIMIT_NOFILE, limits.open_files);
}

std::uint32_t kept_capabilities(const Confinement& to) {
    const bool edge = to.root && to.request->profile == Profile::edge;
    return edge ? 1U << CAP_NET_BIND_SERVICE : 0;
}

bool set_capabilities(std::uint32_t wanted, std::uint32_t inheritable) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    data[0].effective = wanted;
    data[0].permitted = wanted;
    data[0].inheritable = inheritable;
    return ::syscall(SYS_capset, &header, data.data()) == 0;
}

bool set_identity(const Confinement& to) {
    if (!to.root) {
        return ::getuid() == to.uid && ::geteuid() == to.uid;
    }
    if (to.uid == 0 || to.gid == 0) {
        errno = EPERM;
        return false;
    }
    const std::uint32_t kept = kept_capabilities(to);
    for (unsigned long cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
        const bool keep = cap < 32 && (kept >> cap & 1U) != 0;
        if (!keep && ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
            return false;
        }
    }
    return ::prctl(PR_SET_KEEPCAPS, kept != 0 ? 1 : 0, 0, 0, 0) == 0 &&
           ::setgroups(0, nullptr) == 0 && ::setresgid(to.gid, to.gid, to.gid) == 0 &&
           ::setresuid(to.uid, to.uid, to.uid) == 0 && ::setresuid(0, 0, 0) != 0;
}

// Ends with the shim; set after the identity, whose change clears it.
bool set_privileges(const Confinement& to) {
    return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == to.shim &&
           ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
           set_capabilities(kept_capabilities(to), kept_capabilities(to)) &&
           (kept_capabilities(to) == 0 ||
            ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0);
}

bool set_descriptors(const Confinement& to) {
    return ::dup2(to.null, 0) == 0 && ::dup2(to.output, 1) == 1 && ::dup2(to.output, 2) == 2 &&
           ::close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0;
}

bool set_seccomp(const Confinement& to) {
    if (to.seccomp.empty()) {
        return true;
    }
    const sock_fprog program{static_cast<unsigned short>(to.seccomp.size()),
                             const_cast<sock_filter*>(to.seccomp.data())};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

std::string path_of(const std::vector<std::string>& env) {
    for (const auto& entry : env) {
        if (entry.starts_with("PATH=")) {
            return entry.substr(5);
        }
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

void execute(const RunRequest& request) {
    const auto program = find_program(request.argv[0], path_of(request.env));
    if (!program) {
        errno = ENOENT;
        return;
    }
    std::vector<char*> argv;
    std::vector<char*> envp;
    for (const auto& each : request.argv) {
        argv.push_back(const_cast<char*>(each.c_str()));
    }
    for (const auto& each : request.env) {
        envp.push_back(const_cast<char*>(each.c_str()));
    }
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    ::execve(program->c_str(), argv.data(), envp.data());
}

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}    // namespace

std::string describe(const Failure& failure) {
    constexpr std::array<const char*, 9> stages{
        "set its limits",  "make its private /tmp", "change to its user",
        "drop privileges", "close descriptors",     "enter Landlock",
        "set seccomp",     "enter the work folder", "start the program"};
    return std::string("cannot ") + stages.at(failure.stage) + ": " + std::strerror(failure.error);
}

void become_command(const Confinement& to) {
    const auto demand = [&to](bool reached, Failure::Stage stage) {
        if (!reached) {
            const Failure failure{stage, errno};
            [[maybe_unused]] const auto written = ::write(to.failure, &failure, sizeof failure);
            ::_exit(stage == Failure::exec && failure.error == ENOENT ? 127 : 126);
        }
    };
    char go = 0;
    if (::read(to.go, &go, 1) != 1) {
        ::_exit(126);    // the shim died or could not write its state
    }
    ::setsid();
    ::umask(022);
    demand(set_limits(to), Failure::limits);
    Fd cwd;
    if (to.private_tmp) {
        demand(enter_private_tmp(to.view), Failure::mounts);
        cwd = reopen_folder(to.cwd_path, to.cwd);
        demand(static_cast<bool>(cwd), Failure::mounts);
    }
    demand(set_identity(to), Failure::identity);
    demand(set_privileges(to), Failure::privileges);
    // Landlock and working folder by descriptor: both survive as close-on-exec.
    demand(set_descriptors(to), Failure::descriptors);
    demand(to.landlock < 0 || enter_landlock(to.landlock), Failure::landlock);
    demand(set_seccomp(to), Failure::seccomp);
    demand(::fchdir(cwd ? cwd.get() : to.cwd) == 0, Failure::cwd);
    reset_signals();
    execute(*to.request);
    demand(false, Failure::exec);
    ::_exit(126);
}

Status read_seccomp(const Fd& file, std::vector<sock_filter>& program) {
    struct stat info{};
    if (::fstat(file.get(), &info) != 0 || info.st_size <= 0 ||
        info.st_size % static_cast<off_t>(sizeof(sock_filter)) != 0 ||
        info.st_size > BPF_MAXINSNS * static_cast<off_t>(sizeof(sock_filter))) {
        return fail(Code::invalid, "the seccomp program has a wrong size");
    }
    program.resize(static_cast<std::size_t>(info.st_size) / sizeof(sock_filter));
    if (::pread(file.get(), program.data(), static_cast<std::size_t>(info.st_size), 0) !=
        info.st_size) {
        return fail(Code::invalid, "the seccomp program cannot be read");
    }
    return {};
}

Status become_shim(uid_t uid, gid_t gid) {
    if (::geteuid() == 0) {
        ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 ||
            ::setresuid(uid, uid, uid) != 0 || !set_capabilities(1U << CAP_KILL, 0)) {
            return fail_errno("the shim cannot drop root", errno);
        }
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return fail_errno("the shim cannot drop privileges", errno);
    }
    return {};
}

}    // namespace seatrial::process
