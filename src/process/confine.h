// From root to the user's command, in the order that each step needs.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "process/cgroup.h"
#include "process/private_tmp.h"
#include "process/wire.h"

namespace seatrial::process {

struct Confinement {
    const CgroupLayout* cgroups = nullptr;
    const RunRequest* request = nullptr;
    uid_t uid = 0;
    gid_t gid = 0;
    bool root = false;
    pid_t shim = 0;
    bool private_tmp = false;
    PrivateView view;
    std::string cwd_path;    // absolute, for private_tmp
    // Borrowed descriptors; landlock -1: none.
    int cwd = -1;
    int landlock = -1;
    int null = -1;
    int output = -1;
    int go = -1;         // one byte is read before anything of the user's runs
    int failure = -1;    // gets a Failure; closed by a successful exec
    std::vector<sock_filter> seccomp;
};

// Where it failed: `exec` is the user's fault, every other stage means that the protection
// could not be had, and the command was not run.
struct Failure {
    enum Stage { limits, mounts, identity, privileges, descriptors, landlock, seccomp, cwd, exec };
    Stage stage = exec;
    int error = 0;
};
std::string describe(const Failure& failure);

// For a process just forked by the shim. Never comes back.
[[noreturn]] void become_command(const Confinement& confinement);

// A filter as the daemon hands it over: BPF instructions in a file.
Status read_seccomp(const Fd& file, std::vector<sock_filter>& program);

// The shim itself: the daemon's user, with no right but that to signal the run's processes.
Status become_shim(uid_t uid, gid_t gid);

}    // namespace seatrial::process
