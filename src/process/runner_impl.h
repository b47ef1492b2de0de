// Shared by the files of Runner alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "process/cgroup.h"
#include "process/privilege.h"
#include "process/run_files.h"
#include "process/runner.h"
#include "process/wire.h"

namespace seatrial::process {

// What a run's folder says at one moment.
struct RunLook {
    bool folder = false;
    bool locked = false;
    std::optional<RunRecord> record;
    std::optional<ExitRecord> exit;
};

struct Runner::Impl {
    std::filesystem::path data;     // canonical
    std::filesystem::path given;    // as the caller knows it
    std::string worktrees;          // the other root, or ""
    std::string instance;
    Identity identity;
    bool root = false;    // of the helper
    Fd control;
    Fd helper;    // pidfd
    CgroupLayout cgroups;
    Fd seccomp;    // none: the kernel has no filters
    int landlock = 0;
    bool private_tmp = false;

    ~Impl();    // the helper ends with its socket
    Status start_helper();
    Status greet(const Context& ctx);
    // Asks the helper and waits for its reply.
    Result<std::string> call(Verb verb, const std::string& fields, const std::vector<int>& fds,
                             const Context& ctx) const;
    // `path` as the helper wants it (process/roots.h); `refused` when it is below no root.
    Result<std::string> relative(const std::filesystem::path& path) const;
    Status check_name(const std::string& name) const;
    std::filesystem::path folder(const std::string& name) const { return data / "run" / name; }
    Result<RunLook> look(const std::string& name) const;
    // Tools that an earlier daemon left behind.
    Status end_left_tools(Runner& runner) const;
};

}    // namespace seatrial::process
