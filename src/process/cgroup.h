// Control groups, whichever this host has: the unified tree with or without controllers, the
// older one (v1), both, or none we may write. Each run has its groups below one folder
// "seatrial": v2 <name>/{shim,app} (a group with limits holds no process itself), v1 <name>.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "process/run_spec.h"

namespace seatrial::process {

// Each a folder of ours ("/sys/fs/cgroup/memory/seatrial"), or "" when there is none.
struct CgroupLayout {
    std::string v2;
    std::vector<std::string> v2_controllers;    // those that we can use there
    std::string v1_memory;
    std::string v1_pids;
    std::string v1_cpu;

    bool has(std::string_view controller) const;    // "memory", "pids", "cpu" in v2 or v1
    bool v2_has(std::string_view controller) const;
    std::string kind() const;    // "v2", "v1", "kill-only", "none"
};
std::string encode(const CgroupLayout& layout);
Result<CgroupLayout> decode_cgroup(std::string_view bytes);

// Where the trees are mounted, from /proc/self/mountinfo: pure. Folders end in "/seatrial".
CgroupLayout find_cgroup_mounts(std::string_view mountinfo);
// Of these, what we may use: makes the folders and switches controllers on. `mode`: "auto",
// "v2", "v1" or "none" leaves the other trees out.
CgroupLayout open_cgroups(CgroupLayout found, std::string_view mode);
// Removes our folders if nobody has groups in them; create_cgroups() makes them again.
void close_cgroups(const CgroupLayout& layout);

// The groups of a run with its limits. Limits without a controller are left out (isolation()
// says so beforehand); a controller that refuses is an error. Repeatable.
Status create_cgroups(const CgroupLayout& layout, const std::string& name, const Limits& limits);
// Moves the process `pid` (0: the caller); `leaf` is "shim" or "app" (v1 knows the app only).
Status enter_cgroups(const CgroupLayout& layout, const std::string& name, const char* leaf,
                     pid_t pid);
// Gone afterwards, empty ones only (`conflict`); absent is ok.
Status remove_cgroups(const CgroupLayout& layout, const std::string& name);
// Names of the groups that exist, in any tree.
std::vector<std::string> list_cgroups(const CgroupLayout& layout);

// The folder whose cgroup.procs tell the run's processes; "" when there is none.
std::string app_cgroup(const CgroupLayout& layout, const std::string& name);
// Processes in a group and in those below it; zombies too.
std::vector<pid_t> cgroup_pids(const std::string& folder);
// The file that counts what the out-of-memory killer took ("oom_kill N"); "" when none.
std::string oom_file(const CgroupLayout& layout, const std::string& name);
bool counts_oom_kill(std::string_view content);

}    // namespace seatrial::process
