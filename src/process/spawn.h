// Starts a program without copying this process: clone(CLONE_VM | CLONE_VFORK), so that its
// cost does not grow with our memory.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "base/file.h"

namespace seatrial::process {

struct SpawnSpec {
    std::string path;                 // of the program, not looked up
    std::vector<std::string> argv;    // with argv[0]
    std::vector<std::string> env;     // the whole environment
    std::string cwd = "/";
    std::array<int, 3> stdio{-1, -1, -1};    // borrowed, none may be -1
    int extra_fd = -1;                       // borrowed; becomes descriptor 3
    bool die_with_thread = false;            // PDEATHSIG, and a process group of its own
};

struct Spawned {
    pid_t pid = 0;
    Fd pidfd;
};

// The program sees the descriptors named above and nothing else, default signal handling and
// an empty signal mask. Errors: not_found when `path` or `cwd` does not exist. Thread: any.
Result<Spawned> spawn(const SpawnSpec& spec);

// Waits (blocking; call it when the pidfd is readable) and returns the exit code, 128 + signal.
int reap(const Fd& pidfd);

// The first executable `name` along the PATH value `path`; names with a slash stand for
// themselves. Errors: not_found.
Result<std::string> find_program(const std::string& name, const std::string& path);

}    // namespace seatrial::process
