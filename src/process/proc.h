// Reads /proc and signals processes without ever meaning a wrong one: pids are reused, so a
// process is (pid, start time), and signals go through pidfds only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace seatrial::process {

// Identifies this boot of the machine; "" when /proc does not say.
std::string boot_id();

struct ProcStat {
    char state = '?';
    pid_t parent = 0;
    std::uint64_t cpu_ticks = 0;      // user and system
    std::uint64_t start_ticks = 0;    // since boot
    std::int64_t resident_pages = 0;
};

// The content of /proc/PID/stat; the name in it may hold blanks and parentheses.
std::optional<ProcStat> parse_proc_stat(std::string_view text);
// Empty when there is no such process.
std::optional<ProcStat> proc_stat(pid_t pid);
// The real uid; empty when there is no such process.
std::optional<uid_t> proc_uid(pid_t pid);
// True when any of real, effective, saved and file system uid of some process is `uid`; what
// only waits to be reaped does not count.
bool uid_in_use(uid_t uid);

std::vector<pid_t> all_pids();
// Processes below `root`, without it. Whole while `root` is a subreaper.
std::vector<pid_t> descendants(pid_t root);
// True when a descriptor of `pid` is the thing that readlink calls `link`
// ("socket:[123]"); false too when we may not look.
bool holds_file(pid_t pid, const std::string& link);

// A descriptor for exactly the process that began at `start_ticks`; not_found when it is gone.
Result<Fd> open_process(pid_t pid, std::uint64_t start_ticks);
// True when the signal was delivered (or the process had just ended).
bool send_signal(const Fd& pidfd, int signal);

}    // namespace seatrial::process
