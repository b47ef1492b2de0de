#include "process/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "process/spawn.h"

namespace seatrial::process {
namespace {

constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string variable(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : otherwise;
}

// PATH, HOME and LANG, then what the caller adds; a later value of a name replaces it.
std::vector<std::string> make_env(const std::vector<std::string>& added) {
    std::vector<std::string> env{"PATH=" + variable("PATH", default_path),
                                 "HOME=" + variable("HOME", "/"), "LANG=C.UTF-8"};
    for (const auto& entry : added) {
        const auto name = entry.substr(0, entry.find('=') + 1);
        const auto same = std::find_if(env.begin(), env.end(), [&name](const std::string& other) {
            return other.starts_with(name);
        });
        if (!name.empty() && same != env.end()) {
            *same = entry;
        } else {
            env.push_back(entry);
        }
    }
    return env;
}

struct Pipe {
    Fd read;
    Fd write;
};

Result<Pipe> make_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        return fail_errno("cannot make a pipe", errno);
    }
    Pipe made{Fd(fds[0]), Fd(fds[1])};
    // Only our end: the child must find an ordinary blocking pipe.
    ::fcntl(made.read.get(), F_SETFL, O_NONBLOCK);
    return made;
}

// Takes what is there now, at most a few pipes full (endless output must not keep us from
// looking at the deadline); closes the pipe at its end.
void drain(Fd& from, std::string& into, std::size_t limit,
           const std::function<void(std::string_view)>& on_bytes = {}) {
    char buffer[16384];
    for (int round = 0; from && round < 64; ++round) {
        const ssize_t n = ::read(from.get(), buffer, sizeof buffer);
        if (n > 0) {
            into.append(buffer, std::min(static_cast<std::size_t>(n), limit - into.size()));
            if (on_bytes) {
                on_bytes({buffer, static_cast<std::size_t>(n)});
            }
        } else if (n == 0) {
            from.reset();
        } else if (errno != EINTR) {
            return;
        }
    }
}

struct Capture {
    Fd out;
    Fd err;
    Output output;
    const Command& command;

    void take() {
        drain(out, output.out, command.output_limit);
        drain(err, output.err, command.output_limit, command.on_err);
    }
};

// Until the child has ended; what its own children still write later is not waited for.
Status wait_captured(const Fd& pidfd, Capture& capture, const Context& ctx) {
    while (true) {
        TRY(ctx.ok());
        pollfd fds[4] = {{pidfd.get(), POLLIN, 0},
                         {capture.out.get(), POLLIN, 0},
                         {capture.err.get(), POLLIN, 0},
                         {ctx.wake_fd(), POLLIN, 0}};
        if (::poll(fds, 4, ctx.poll_timeout()) < 0 && errno != EINTR) {
            return fail_errno("poll", errno);
        }
        const bool ended = fds[0].revents != 0;
        capture.take();
        if (ended) {
            return {};
        }
    }
}

std::string last_lines(const std::string& text) {
    auto end = std::string_view(text);
    while (!end.empty() && (end.back() == '\n' || end.back() == ' ')) {
        end.remove_suffix(1);
    }
    auto from = end.size();
    for (int lines = 0; lines < 3 && from != std::string_view::npos && from > 0; ++lines) {
        from = end.rfind('\n', from - 1);
    }
    const auto tail = from == std::string_view::npos || from == 0 ? end : end.substr(from + 1);
    return printable(tail.substr(tail.size() > 1000 ? tail.size() - 1000 : 0), true);
}

}    // namespace

Result<Output> run_command(const Command& command, const Context& ctx) {
    TRY(ctx.ok());
    if (command.argv.empty()) {
        return fail(Code::invalid, "a command needs at least a program");
    }
    SpawnSpec spec;
    spec.argv = command.argv;
    spec.env = make_env(command.env);
    spec.cwd = command.cwd.string();
    spec.die_with_thread = true;
    TRY_ASSIGN(spec.path, find_program(command.argv[0], spec.env[0].substr(5)));

    Fd null;
    if (command.stdin_fd < 0) {
        null = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!null) {
            return fail_errno("cannot open /dev/null", errno);
        }
    }
    TRY_ASSIGN(Pipe err, make_pipe());
    Pipe out;
    if (command.stdout_fd < 0) {
        TRY_ASSIGN(out, make_pipe());
    }
    spec.stdio = {command.stdin_fd < 0 ? null.get() : command.stdin_fd,
                  command.stdout_fd < 0 ? out.write.get() : command.stdout_fd, err.write.get()};
    TRY_ASSIGN(const Spawned child, spawn(spec));
    out.write.reset();
    err.write.reset();

    Capture capture{std::move(out.read), std::move(err.read), {}, command};
    const Status waited = wait_captured(child.pidfd, capture, ctx);
    if (!waited) {
        // Not yet reaped, so neither its pid nor its group can be somebody else's.
        ::kill(-child.pid, SIGKILL);
    }
    capture.output.exit_code = reap(child.pidfd);
    TRY(waited);
    return std::move(capture.output);
}

Result<Output> run_checked(const Command& command, const Context& ctx) {
    TRY_ASSIGN(Output output, run_command(command, ctx));
    if (output.exit_code != 0) {
        const std::string what = std::filesystem::path(command.argv[0]).filename().string();
        const std::string said = last_lines(output.err.empty() ? output.out : output.err);
        return fail(Code::failed, what + " failed with exit code " +
                                      std::to_string(output.exit_code) +
                                      (said.empty() ? "" : ": " + said));
    }
    return output;
}

}    // namespace seatrial::process
