// Runs user commands (install, migrate, components) inside the preview's isolation, through
// the small privileged helper (src/helper). A run is addressed by its name for ever: it can be
// found, observed and killed after any restart of daemon or helper.
//
// Each run has a folder <data>/run/<name>/ with
//   lock    flock held by the run's shim as long as it lives: the proof of life
//   state   boot id, shim pid + start time, cgroup, uid, started_at (tmp + rename, by the shim,
//           before it starts the command)
//   exit    exit code or signal, finished_at (tmp + rename, by the shim)
// and, where cgroups can be written, the groups seatrial/<name>/{shim,app}.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/file.h"

namespace seatrial::process {

struct Limits {
    std::int64_t memory_bytes = 0;    // 0: no limit
    int pids = 0;
    int cpu_percent = 0;    // 100 is one core
    int open_files = 4096;
    std::int64_t file_bytes = 0;    // RLIMIT_FSIZE
};

// component: outlives daemon and helper; tool: killed when the daemon ends.
enum class Profile { component, tool };

struct RunSpec {
    std::string name;    // made by make_name(); the folder, the cgroup
    Profile profile = Profile::component;
    std::vector<std::string> argv;    // a user's string command is {"/bin/sh","-c",text}
    std::vector<std::string> env;     // the whole environment of the command
    std::filesystem::path cwd;        // below one of the helper's roots
    std::vector<std::filesystem::path> writable;    // Landlock: besides cwd, /tmp and /dev
    int uid_slot = -1;                              // -1: this user (the only choice without root)
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
    int landlock_abi = 0;                // 0: none
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

struct HelperOptions {
    std::filesystem::path data;    // root of everything: run/, previews/, trees/, scratch/, trash/
    std::string instance;          // marks cgroups and chooses the uid range
    std::string user;              // name or number to drop to when root; "" = "seatrial"
};

// The daemon's side of the helper. One per daemon. Thread: all methods, any thread.
class Runner {
public:
    // Starts the helper beside this program's own file. When root, must be called before other
    // threads exist, and afterwards this process has dropped to `user` for good.
    static Result<std::unique_ptr<Runner>> open(const HelperOptions& options);
    ~Runner();

    // Starts the run and returns once its shim holds the lock. Repeating the call for a live
    // run is a `conflict`; an ended run of that name is replaced.
    Status start(const RunSpec& spec, const Context& ctx);
    // start + wait until it has exited, then the end state; kills it on cancellation or deadline.
    Result<RunState> run(const RunSpec& spec, const Context& ctx);

    Result<RunState> observe(const std::string& name) const;
    // Blocks until the run has exited (pidfd, no polling) or ctx ends.
    Result<RunState> wait(const std::string& name, const Context& ctx) const;
    // A descriptor that becomes readable when the shim exits; `not_found` when not running.
    Result<Fd> watch(const std::string& name) const;
    // TERM to the command's processes, KILL to all that remain after `grace`, then wait until
    // cgroup (or process tree) is empty. Repeatable; absent is ok. Keeps folder and exit file.
    Status kill(const std::string& name, std::chrono::milliseconds grace, const Context& ctx);
    // Removes folder and cgroups of a run that is not alive (`conflict` otherwise).
    Status forget(const std::string& name, const Context& ctx);
    // All runs with this instance's mark: folders and cgroups, half-made ones too.
    Result<std::vector<std::string>> list() const;
    // All pids that belong to a run, for the listener check and resource figures.
    Result<std::vector<pid_t>> pids(const std::string& name) const;
    struct Usage {
        std::int64_t memory_bytes = 0;
        std::chrono::milliseconds cpu{0};
        int processes = 0;
    };
    Result<Usage> usage(const std::string& name) const;

    // Privileged verbs. `unavailable` without root, where the caller falls back.
    Status own(const std::filesystem::path& tree, int uid_slot,
               const Context& ctx);    // chown -R, no links followed; -1: back to the daemon's user
    Status remove(
        const std::filesystem::path& tree,
        const Context& ctx);    // rm -r, no links followed, works without root too for own files
    // Overlay at `target`: `lower` read-only below, changes in `upper`, `work` its work folder.
    Status mount(const std::filesystem::path& lower, const std::filesystem::path& upper,
                 const std::filesystem::path& work, const std::filesystem::path& target,
                 const Context& ctx);
    Status umount(const std::filesystem::path& target, const Context& ctx);    // not mounted is ok

    bool privileged() const;    // helper is root
    uid_t uid_of(int uid_slot) const;
    // No process of that uid lives (census for reuse of a slot). Always true without root.
    Result<bool> uid_idle(int uid_slot) const;
    // What a run would reach here and now.
    Isolation isolation() const;

private:
    struct Impl;
    explicit Runner(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::process
