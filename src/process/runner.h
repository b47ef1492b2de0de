// Runs user commands (install, migrate, components) inside the preview's isolation, through
// the small privileged helper (src/helper). A run is addressed by its name for ever: it can be
// found, observed and killed after any restart of daemon or helper.
//
// Each run has a folder <data>/run/<name>/ with
//   lock    held by the run's shim as long as it lives: the proof of life (an
//           open-file-description lock, fcntl F_OFD_GETLK tells it without taking it)
//   state   boot id, shim pid + start time, cgroup, uid, started_at (tmp + rename, by the shim,
//           before it starts the command)
//   exit    exit code or signal, finished_at (tmp + rename, by the shim)
// and, where cgroups can be written, the groups seatrial/<name>/{shim,app}.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/file.h"
#include "process/run_spec.h"

namespace seatrial::process {

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

    // Where worktrees lie when not in the data folder (absolute, plain): makes and takes over the
    // folder as process/roots.h says, and lets every path below it be named. Once, at the daemon's
    // start, also with "" for none: afterwards the helper accepts no root. Thread: before others.
    Status set_worktrees(const std::string& path, const Context& ctx);

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
    // All pids of a run's command (not the shim), for the listener check and resource figures.
    // As root without any cgroup only those below a living shim.
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
    // Readable once the helper has died; then every verb is `unavailable` until the daemon is
    // started anew (it cannot become root again). Borrowed.
    int helper_fd() const;
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
