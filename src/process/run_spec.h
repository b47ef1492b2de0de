// What a run is asked to be, and what is known of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace seatrial::process {

struct Limits {
    std::int64_t memory_bytes = 0;    // 0: no limit
    int pids = 0;
    int cpu_percent = 0;    // 100 is one core
    int open_files = 4096;
    std::int64_t file_bytes = 0;    // RLIMIT_FSIZE
};

// component: outlives daemon and helper; tool: killed when the daemon ends; edge: as component,
// and as root it may bind ports below 1024, with this user only (uid_slot -1).
enum class Profile { component, tool, edge };

struct RunSpec {
    std::string name;    // made by make_name(); the folder, the cgroup
    Profile profile = Profile::component;
    std::vector<std::string> argv;    // a user's string command is {"/bin/sh","-c",text}
    std::vector<std::string> env;     // the whole environment of the command
    std::filesystem::path cwd;        // below one of the helper's roots
    std::vector<std::filesystem::path> writable;    // Landlock: besides cwd, /tmp and /dev
    // As root: what it sees as /tmp and /var/tmp (process/private_tmp.h), below a root; "" for a
    // tmpfs of its own. `shown`: folders below /tmp of the host that it sees nevertheless.
    std::filesystem::path tmp;
    std::vector<std::filesystem::path> shown;
    int uid_slot = -1;    // -1: this user (the only choice without root)
    Limits limits;
    std::filesystem::path log;            // stdout and stderr, appended, below one of the roots
    std::int64_t log_bytes = 16 << 20;    // capped with a truncation mark
    std::vector<int> tcp_bind;            // ports it may bind (Landlock v4); empty: any
};

// What protects the others from a run, as reached and not as wished for.
struct Isolation {
    std::string level;    // strong | standard | basic
    bool own_uid = false;
    std::string cgroup;    // "v2", "v1", "kill-only", "none"
    bool seccomp = false;
    int landlock_abi = 0;    // 0: none
    bool private_tmp = false;
    std::vector<std::string> missing;    // one plain sentence for each thing not reached
};

enum class RunPhase { absent, starting, running, exited };
struct RunState {
    RunPhase phase = RunPhase::absent;
    pid_t shim = 0;    // 0 unless running
    std::string boot_id;
    uid_t uid = 0;
    WallTime started_at{};
    std::optional<int> exit_code;    // 128 + signal; -1: died without a trace (reboot, SIGKILL)
    WallTime finished_at{};
    bool oom_killed = false;
};

}    // namespace seatrial::process
