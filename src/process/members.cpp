#include "process/members.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/failpoint.h"
#include "process/proc.h"

namespace seatrial::process {
namespace {

bool is_living(pid_t pid) {
    const auto stat = proc_stat(pid);
    return stat && stat->state != 'Z' && stat->state != 'X';
}

std::vector<pid_t> tree_pids(const Members& members) {
    std::set<pid_t> found;
    if (members.shim != 0) {
        const auto below = descendants(members.shim);
        found.insert(below.begin(), below.end());
    }
    const std::string link = "pipe:[" + std::to_string(members.pipe) + "]";
    for (const pid_t pid : members.pipe != 0 ? all_pids() : std::vector<pid_t>{}) {
        if (holds_file(pid, link)) {
            found.insert(pid);
        }
    }
    found.erase(members.shim);
    std::erase_if(found, [&members](pid_t pid) {
        const auto uid = proc_uid(pid);
        return !uid ||
               ((*uid < members.first_uid || *uid > members.last_uid) && *uid != members.other_uid);
    });
    return {found.begin(), found.end()};
}

Fd open_pid(pid_t pid) {
    return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

void write_to(int fd, const char* text) {
    [[maybe_unused]] const auto written = ::write(fd, text, std::char_traits<char>::length(text));
}

// Until no member is left, each awaited by its pidfd. Without a cgroup one look through /proc can
// miss who is born behind it while his parent ends: nobody has to be there twice.
Status wait_gone(const Members& members, const Context& ctx) {
    const int looks = members.cgroup.empty() ? 2 : 1;
    for (int empty = 0; empty < looks;) {
        const auto pids = members.list();
        if (pids.empty()) {
            ++empty;
            continue;    // a look takes longer than some who call this have time
        }
        empty = 0;
        for (const pid_t pid : pids) {
            if (const Fd pidfd = open_pid(pid); pidfd) {
                TRY_ASSIGN([[maybe_unused]] const short ended, wait_fd(pidfd.get(), POLLIN, ctx));
            }
        }
        TRY(ctx.ok());
    }
    return {};
}

}    // namespace

std::vector<pid_t> Members::list() const {
    auto pids = cgroup.empty() ? tree_pids(*this) : cgroup_pids(cgroup);
    std::erase_if(pids, [](pid_t pid) { return !is_living(pid); });
    return pids;
}

void Members::signal_all(int signal) const {
    std::vector<std::pair<pid_t, Fd>> opened;
    for (const pid_t pid : list()) {
        if (Fd pidfd = open_pid(pid); pidfd && opened.size() < 4096) {
            opened.emplace_back(pid, std::move(pidfd));
        }
    }
    // Listed again after opening: a number that was reused in between is no member now.
    const auto still = list();
    for (const auto& [pid, pidfd] : opened) {
        if (std::find(still.begin(), still.end(), pid) != still.end()) {
            send_signal(pidfd, signal);
        }
    }
}

void Members::kill_now() const {
    if (kill_fd >= 0) {
        write_to(kill_fd, "1");
        return;
    }
    if (!kill_file.empty()) {
        if (const Fd file(::open(kill_file.c_str(), O_WRONLY | O_CLOEXEC)); file) {
            write_to(file.get(), "1");
            return;
        }
    }
    if (!fork_brake.empty()) {
        if (const Fd file(::open(fork_brake.c_str(), O_WRONLY | O_CLOEXEC)); file) {
            write_to(file.get(), "0");
        }
    }
    signal_all(SIGKILL);
}

Members members_of(const CgroupLayout& layout, const std::string& name) {
    Members members;
    members.cgroup = app_cgroup(layout, name);
    if (!layout.v2.empty()) {
        members.kill_file = members.cgroup + "/cgroup.kill";
    }
    if (!layout.v1_pids.empty()) {
        members.fork_brake = layout.v1_pids + "/" + name + "/pids.max";
    }
    return members;
}

Status end_members(const Members& members, std::chrono::milliseconds grace, const Context& ctx) {
    if (members.list().empty()) {
        return {};
    }
    if (grace.count() > 0) {
        members.signal_all(SIGTERM);
        TRY(failpoint("helper.kill.after_term"));
        const Status gone = wait_gone(members, ctx.with_timeout(grace));
        if (gone || gone.error().code != Code::timed_out) {
            return gone;
        }
        TRY(ctx.ok());
    }
    while (true) {
        members.kill_now();
        TRY(failpoint("helper.kill.after_kill"));
        // Rounds, because without cgroup.kill new processes may have been born meanwhile.
        const Status gone = wait_gone(members, ctx.with_timeout(std::chrono::milliseconds(20)));
        if (gone || gone.error().code != Code::timed_out) {
            return gone;
        }
        TRY(ctx.ok());
    }
}

}    // namespace seatrial::process
