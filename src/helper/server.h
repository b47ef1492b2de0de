// The privileged half of Seatrial. Started by the daemon before it drops root, it answers the
// few verbs of process/wire.h and ends with the daemon. Everything it reads is hostile: names
// must carry the instance's mark, paths are opened below the roots without following links, uids
// come from the instance's own range, and nothing ever runs as root.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "process/cgroup.h"
#include "process/members.h"
#include "process/roots.h"
#include "process/wire.h"

namespace seatrial::helper {

struct Server {
    process::Roots roots;
    bool sealed = false;    // the daemon has said where worktrees lie
    std::string instance;
    uid_t uid = 0;    // of the daemon, never 0
    gid_t gid = 0;
    bool root = false;
    bool private_tmp = false;    // runs can have one
    process::CgroupLayout cgroups;
    Fd life;    // readable (end of file) once the helper has died
};

// One request in a process of its own, made by fork: requests never wait for each other.
struct Request {
    process::Verb verb{};
    std::string fields;
    std::vector<Fd> fds;    // behind reply socket and fields
    Fd reply;
};

// Sends the reply and closes the socket; at most once.
void send_reply(Request& request, const Result<std::string>& reply);

Status check_name(const Server& server, const std::string& name);

// run.cpp: answers, and then stays alive as the shim of the run. Never returns.
[[noreturn]] void serve_run(const Server& server, Request& request);
process::Members members_of_run(const Server& server, const std::string& name);

}    // namespace seatrial::helper
