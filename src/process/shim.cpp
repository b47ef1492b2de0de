#include "process/shim.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/failpoint.h"
#include "process/run_files.h"

namespace seatrial::process {
namespace {

constexpr auto leftover_grace = std::chrono::milliseconds(500);
constexpr auto kill_again = std::chrono::milliseconds(50);
// So much of each run is kept even when earlier runs have filled the log.
constexpr std::int64_t least_log = 64 << 10;

struct Progress {
    std::optional<int> status;    // of the command
    bool childless = false;       // every descendant is gone: the shim is their subreaper
    bool ending = false;          // somebody else ends the run
    std::optional<Deadline> kill_at;
    std::int64_t room = 0;    // bytes the log may still take
    bool marked = false;
};

void write_log(Shim& shim, const char* text, std::size_t size) {
    while (size > 0) {
        const ssize_t n = ::write(shim.log.get(), text, size);
        if (n < 0 && errno != EINTR) {
            return;    // disk full: what cannot be kept is dropped, the command goes on
        }
        if (n > 0) {
            text += n;
            size -= static_cast<std::size_t>(n);
        }
    }
}

// A bounded amount, so that endless output does not keep the shim from its other duties.
void copy_output(Shim& shim, Progress& progress) {
    char buffer[16384];
    for (int round = 0; shim.output && round < 64; ++round) {
        const ssize_t n = ::read(shim.output.get(), buffer, sizeof buffer);
        if (n == 0) {
            shim.output.reset();
        }
        if (n <= 0) {
            return;
        }
        const auto kept = std::min<std::int64_t>(n, progress.room);
        write_log(shim, buffer, static_cast<std::size_t>(kept));
        progress.room -= kept;
        if (kept < n && !progress.marked) {
            progress.marked = true;
            log_line(shim, "the log is full (" + std::to_string(shim.log_bytes) +
                               " bytes): further output is dropped");
        }
    }
}

void take_signals(Shim& shim, Progress& progress) {
    signalfd_siginfo info{};
    while (::read(shim.signals.get(), &info, sizeof info) == sizeof info) {
        progress.ending = progress.ending || info.ssi_signo == SIGTERM;
    }
    while (true) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG | __WALL);
        if (pid <= 0) {
            progress.childless = pid < 0 && errno == ECHILD;
            return;
        }
        if (pid == shim.command) {
            progress.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

// What remains when the command has ended by itself, or a tool whose daemon is gone.
void end_leftovers(Shim& shim, Progress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (progress.kill_at && now >= *progress.kill_at) {
        shim.members.kill_now();
        progress.kill_at = now + kill_again;
    } else if (!progress.kill_at && progress.status && !progress.ending && !progress.childless) {
        shim.members.signal_all(SIGTERM);
        progress.kill_at = now + leftover_grace;
    }
}

int timeout_of(const Progress& progress) {
    return progress.kill_at ? Context().with_deadline(*progress.kill_at).poll_timeout() : -1;
}

}    // namespace

void log_line(Shim& shim, const std::string& text) {
    const std::string line = "\n[seatrial] " + text + "\n";
    write_log(shim, line.data(), line.size());
}

void write_exit(Shim& shim, int code) {
    char counters[1024];
    const ssize_t n = shim.oom ? ::pread(shim.oom.get(), counters, sizeof counters, 0) : 0;
    const std::string_view text(counters, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    [[maybe_unused]] const auto before = failpoint("helper.exit.before");
    const Status written = write_run_file(shim.run_folder, "exit",
                                          render_exit({code, now_utc(), counts_oom_kill(text)}));
    if (!written) {
        log_line(shim, "cannot note exit code " + std::to_string(code) + ": " +
                           render_error(written.error()));
    }
    [[maybe_unused]] const auto after = failpoint("helper.exit.written");
}

void run_shim(Shim& shim) {
    Progress progress;
    struct stat info{};
    const auto used = ::fstat(shim.log.get(), &info) == 0 ? info.st_size : 0;
    progress.room = std::max(shim.log_bytes - used, std::min(shim.log_bytes, least_log));
    take_signals(shim, progress);
    while (!progress.status || !progress.childless) {
        end_leftovers(shim, progress);
        pollfd fds[3] = {{shim.output ? shim.output.get() : -1, POLLIN, 0},
                         {shim.signals.get(), POLLIN, 0},
                         {shim.life, POLLIN, 0}};
        ::poll(fds, 3, timeout_of(progress));
        copy_output(shim, progress);
        take_signals(shim, progress);
        if (fds[2].revents != 0) {
            shim.life = -1;
            progress.ending = true;
            progress.kill_at = std::chrono::steady_clock::now();
        }
    }
    copy_output(shim, progress);
    write_exit(shim, *progress.status);
}

}    // namespace seatrial::process
