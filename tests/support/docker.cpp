#include "support/docker.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "base/context.h"

namespace seatrial::test {
namespace {

[[noreturn]] void give_up(const std::string& what) {
    std::cerr << "private Docker engine: " << what << std::endl;
    std::abort();
}

// In memory: a layer or a container is made and removed much faster there.
std::filesystem::path private_folder() {
    std::string pattern =
        std::string(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/stdk-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        give_up("mkdtemp");
    }
    return pattern;
}

}    // namespace

bool may_run_docker() {
    return ::geteuid() == 0;
}

std::unique_ptr<PrivateDocker> PrivateDocker::start(Options options) {
    std::unique_ptr<PrivateDocker> engine(new PrivateDocker());
    engine->folder_ = private_folder();
    int to[2];
    int from[2];
    check(::pipe2(to, O_CLOEXEC) == 0 && ::pipe2(from, O_CLOEXEC) == 0, "pipe");
    const Fd their_input(to[0]);
    const Fd their_output(from[1]);
    engine->input_ = Fd(to[1]);
    engine->output_ = Fd(from[0]);
    std::vector<std::string> words = {"python3", SEATRIAL_PRIVATE_DOCKER, engine->folder_};
    if (options.live_restore) {
        words.emplace_back("--live-restore");
    }
    if (options.registry) {
        words.emplace_back("--registry");
    }
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, their_input.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, their_output.get(), 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);    // Ctrl-C is not for it
    const int code = ::posix_spawn(&engine->pid_, "/usr/bin/python3", &actions, &attributes,
                                   argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0 || engine->read_line() != "ready") {
        give_up("it did not start");
    }
    engine->tell("image box");
    return engine;
}

PrivateDocker& PrivateDocker::shared() {
    static const std::unique_ptr<PrivateDocker> engine = start({.registry = true});
    return *engine;
}

PrivateDocker::~PrivateDocker() {
    input_.reset();    // its sign to clear up
    ::waitpid(pid_, nullptr, 0);
}

int PrivateDocker::registry_port() const {
    return std::atoi(read_file(folder_ / "registry.port", 64).value_or("0").c_str());
}

void PrivateDocker::tell(const std::string& command) {
    const std::string line = command + "\n";
    check(::write(input_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()),
          "write to private_docker");
    const std::string answer = read_line();
    if (answer != "ok") {
        give_up(command + ": " + answer);
    }
}

std::string PrivateDocker::read_line() const {
    const Context ctx = Context().with_timeout(std::chrono::seconds(60));
    std::string line;
    char byte = 0;
    while (wait_fd(output_.get(), POLLIN, ctx) && ::read(output_.get(), &byte, 1) == 1 &&
           byte != '\n') {
        line += byte;
    }
    return line;
}

}    // namespace seatrial::test
