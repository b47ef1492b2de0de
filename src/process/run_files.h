// The files of a run's folder. `lock` is held (an open-file-description lock) as long as the
// shim lives; `state` and `exit` appear whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/file.h"
#include "process/run_spec.h"

namespace seatrial::process {

struct RunRecord {    // file `state`
    std::string boot_id;
    pid_t shim = 0;
    std::uint64_t shim_start = 0;    // ticks since boot
    std::uint64_t pipe = 0;          // inode of the output pipe
    uid_t uid = 0;
    Profile profile = Profile::component;
    WallTime started_at{};
    std::string cgroup;
};
std::string render_record(const RunRecord& record);
std::optional<RunRecord> parse_record(std::string_view text);    // empty when damaged

struct ExitRecord {    // file `exit`
    int code = -1;
    WallTime finished_at{};
    bool oom_killed = false;
};
std::string render_exit(const ExitRecord& record);
std::optional<ExitRecord> parse_exit(std::string_view text);

// tmp + rename in the folder `dir`. Not synced: after a power loss the boot id tells more than
// these files could.
Status write_run_file(const Fd& dir, const char* name, std::string_view content);
// Room for write_run_file() of that name, so that it succeeds on a disk that is full by then.
Status reserve_run_file(const Fd& dir, const char* name);

// Takes the lock; `conflict` while another open file holds it. Kept by every copy of `fd`.
Status take_lock(const Fd& fd);
// True while somebody else holds it; takes nothing.
Result<bool> is_locked(const Fd& fd);

}    // namespace seatrial::process
