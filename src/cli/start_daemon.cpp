// Starting `seatrial serve` in the background, for `up`.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/client.h"

namespace seatrial::cli {
namespace {

// The server's file opened with the caller's rights, or the repository's own as a memory file.
Result<Fd> open_config(const Globals& globals, const std::string& text) {
    if (!globals.config.empty()) {
        Fd file(::open(globals.config.c_str(), O_RDONLY));
        if (!file) {
            return fail_errno("cannot open " + globals.config, errno);
        }
        return file;
    }
    if (text.empty()) {
        return Fd();
    }
    Fd file(::memfd_create("seatrial-config", 0));
    if (!file ||
        ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return fail_errno("cannot hand over the configuration", errno);
    }
    return file;
}

std::vector<std::string> daemon_argv(const Globals& globals, const std::string& config_name,
                                     int config, int ready) {
    std::vector<std::string> argv = {"seatrial",
                                     "serve",
                                     "--data",
                                     globals.data.string(),
                                     "--port",
                                     "0",
                                     "--owner",
                                     std::to_string(::getuid()),
                                     "--log-file",
                                     "--ready-fd",
                                     std::to_string(ready)};
    if (config >= 0) {
        const std::string& name = globals.config.empty() ? config_name : globals.config;
        argv.insert(argv.end(), {"--config-fd", std::to_string(config), "--config-name", name});
        if (globals.config.empty()) {
            argv.emplace_back("--embedded");
        }
    }
    return argv;
}

// In the child. Twice forked: the daemon belongs to nobody's terminal and to no shell's jobs.
[[noreturn]] void become_daemon(char* const* argv, int ready) {
    ::setsid();
    if (::fork() != 0) {
        ::_exit(0);
    }
    ::fcntl(ready, F_SETFD, 0);
    const int null = ::open("/dev/null", O_RDWR);
    if (null < 0) {
        ::_exit(127);
    }
    for (const int standard : {0, 1, 2}) {
        ::dup2(null, standard);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::chdir("/") == 0) {
        ::execv("/proc/self/exe", argv);
    }
    ::_exit(127);
}

// "ready", or what the daemon says is wrong.
Status read_answer(const Fd& fd, const Globals& globals, const Context& ctx) {
    std::string answer;
    while (true) {
        TRY(wait_fd(fd.get(), POLLIN, ctx));
        char buffer[4096];
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n <= 0) {
            break;
        }
        answer.append(buffer, static_cast<std::size_t>(n));
    }
    if (answer == "ready\n") {
        return {};
    }
    if (answer.empty()) {
        return fail(Code::unavailable, "the daemon did not start",
                    "see " + (globals.data / "daemon.log").string());
    }
    const auto newline = answer.find('\n');
    return fail(Code::invalid, "the daemon did not start: " + answer.substr(0, newline),
                newline == std::string::npos ? "" : answer.substr(newline + 1));
}

}    // namespace

Status start_daemon(const Globals& globals, const std::string& config_text,
                    const std::string& config_name, const Context& ctx) {
    TRY_ASSIGN(const Fd config, open_config(globals, config_text));
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) {
        return fail_errno("pipe", errno);
    }
    const Fd read_end(ready[0]);
    Fd write_end(ready[1]);
    auto argv = daemon_argv(globals, config_name, config.get(), write_end.get());
    std::vector<char*> args;
    for (auto& word : argv) {
        args.push_back(word.data());
    }
    args.push_back(nullptr);
    const pid_t child = ::fork();
    if (child < 0) {
        return fail_errno("fork", errno);
    }
    if (child == 0) {
        become_daemon(args.data(), write_end.get());
    }
    write_end.reset();
    int status = 0;
    ::waitpid(child, &status, 0);    // the first fork, which ends at once
    return read_answer(read_end, globals, ctx);
}

}    // namespace seatrial::cli
