// The processes of one run and how they are ended. They are what its cgroup holds; without a
// cgroup, the descendants of its shim (a subreaper) and whoever holds its output pipe.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"
#include "process/cgroup.h"

namespace seatrial::process {

struct Members {
    std::string cgroup;        // folder, or "" where there is none
    std::string kill_file;     // cgroup.kill of v2, or ""
    int kill_fd = -1;          // the same, opened earlier by a process that may; borrowed
    std::string fork_brake;    // pids.max of v1: 0 there stops a fork bomb
    pid_t shim = 0;            // 0: dead or unknown
    std::uint64_t pipe = 0;    // inode of the output pipe, 0: unknown
    // Without a cgroup only processes of these uids count: what the caller says about shim
    // and pipe may be wrong, and must then not cost somebody else's process.
    uid_t first_uid = 0;
    uid_t last_uid = 0;
    uid_t other_uid = 0;

    // Living processes (no zombies), never the shim.
    std::vector<pid_t> list() const;
    // Sends `signal` to each, by pidfd, only while it is a member.
    void signal_all(int signal) const;
    // KILL to all: at once where the kernel can, else with forking stopped first.
    void kill_now() const;
};

// Members by the names of `layout`; the uid fields and shim stay for the caller to fill.
Members members_of(const CgroupLayout& layout, const std::string& name);

// TERM, KILL after `grace`, and back when none is left; the context's error else. Repeatable.
Status end_members(const Members& members, std::chrono::milliseconds grace, const Context& ctx);

}    // namespace seatrial::process
