#include "process/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/text.h"

namespace seatrial::process {
namespace {

constexpr std::size_t stack_size = 256 << 10;

#if __has_feature(thread_sanitizer)
constexpr int share = CLONE_VFORK;    // its runtime aborts in a child that shares our memory
#else
constexpr int share = CLONE_VM | CLONE_VFORK;
#endif

// What the child reads and writes in the memory it shares with us.
struct Child {
    const char* path;
    char** argv;
    char** envp;
    const char* cwd;
    std::array<int, 4> fds;
    bool die_with_thread;
    pid_t parent;
    sigset_t empty_mask;
    int* error;    // errno of what failed, 0 before; in memory that is shared in any case
};

// Signals whose handlers of ours must not run in the child between unblocking and exec.
constexpr std::array<int, 9> reset_signals{SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE,
                                           SIGCHLD, SIGUSR1, SIGUSR2, SIGALRM};

// Runs on its own stack inside our memory while the calling thread is suspended: only system
// calls, nothing that allocates, and no sanitizer marks left on a stack that is thrown away.
__attribute__((no_sanitize("address", "undefined", "thread"))) int run_child(void* argument) {
    Child& child = *static_cast<Child*>(argument);
    const auto give_up = [&child] {
        *child.error = errno;
        ::_exit(127);
        return 127;
    };
    for (const int signal : reset_signals) {
        ::signal(signal, SIG_DFL);
    }
    if (child.die_with_thread) {
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::setpgid(0, 0) != 0) {
            return give_up();
        }
        if (::getppid() != child.parent) {
            ::_exit(127);
        }
    }
    // Copied upwards first: a source may itself be a descriptor below 4.
    const int count = child.fds[3] >= 0 ? 4 : 3;
    int copies[4];
    for (int i = 0; i < count; ++i) {
        copies[i] = ::fcntl(child.fds[static_cast<std::size_t>(i)], F_DUPFD_CLOEXEC, 16);
        if (copies[i] < 0) {
            return give_up();
        }
    }
    for (int i = 0; i < count; ++i) {
        if (::dup2(copies[i], i) < 0) {
            return give_up();
        }
    }
    if (::close_range(static_cast<unsigned>(count), UINT_MAX, 0) != 0 || ::chdir(child.cwd) != 0 ||
        ::sigprocmask(SIG_SETMASK, &child.empty_mask, nullptr) != 0) {
        return give_up();
    }
    ::execve(child.path, child.argv, child.envp);
    return give_up();
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const auto& text : texts) {
        out.push_back(const_cast<char*>(text.c_str()));
    }
    out.push_back(nullptr);
    return out;
}

}    // namespace

Result<Spawned> spawn(const SpawnSpec& spec) {
    auto argv = pointers(spec.argv);
    auto envp = pointers(spec.env);
    void* stack =
        ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) {
        return fail_errno("cannot map a stack", errno);
    }
    int* error = static_cast<int*>(stack);    // at its far end
    Child child{spec.path.c_str(),
                argv.data(),
                envp.data(),
                spec.cwd.c_str(),
                {spec.stdio[0], spec.stdio[1], spec.stdio[2], spec.extra_fd},
                spec.die_with_thread,
                ::getpid(),
                {},
                error};
    sigemptyset(&child.empty_mask);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    int pidfd = -1;
    const pid_t pid = ::clone(run_child, static_cast<char*>(stack) + stack_size,
                              share | CLONE_PIDFD | SIGCHLD, &child, &pidfd, nullptr, nullptr);
    const int clone_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const int child_error = *error;
    ::munmap(stack, stack_size);
    if (pid < 0) {
        return fail_errno("cannot start a process", clone_error);
    }
    Spawned spawned{pid, Fd(pidfd)};
    if (child_error != 0) {
        reap(spawned.pidfd);
        return fail_errno("cannot start " + spec.path + " in " + spec.cwd, child_error);
    }
    return spawned;
}

int reap(const Fd& pidfd) {
    siginfo_t info{};
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd.get()), &info,
                    WEXITED) != 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

Result<std::string> find_program(const std::string& name, const std::string& path) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    if (!name.empty()) {
        for (const auto folder : split(path, ':')) {
            const std::string candidate = std::string(folder.empty() ? "." : folder) + "/" + name;
            if (::access(candidate.c_str(), X_OK) == 0) {
                return candidate;
            }
        }
    }
    return fail(Code::not_found, "there is no program '" + name + "' in PATH",
                "install it, or mend PATH");
}

}    // namespace seatrial::process
