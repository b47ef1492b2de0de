#include "process/proc.h"

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <set>

#include "base/text.h"

namespace seatrial::process {
namespace {

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    return value;
}

std::string proc_path(pid_t pid, const char* leaf) {
    return "/proc/" + std::to_string(pid) + "/" + leaf;
}

// Real, effective, saved and file system uid.
std::optional<std::array<uid_t, 4>> proc_uids(pid_t pid) {
    const auto text = read_file(proc_path(pid, "status"), 1 << 16);
    if (!text) {
        return std::nullopt;
    }
    const auto at = text->find("\nUid:");
    if (at == std::string::npos) {
        return std::nullopt;
    }
    const auto line = std::string_view(*text).substr(at + 5, text->find('\n', at + 1) - at - 5);
    std::array<uid_t, 4> uids{};
    std::size_t count = 0;
    for (const auto field : split(line, '\t')) {
        const auto value = parse_number<uid_t>(trim(field));
        if (value && count < uids.size()) {
            uids[count++] = *value;
        }
    }
    return count == uids.size() ? std::optional(uids) : std::nullopt;
}

}    // namespace

std::string boot_id() {
    const auto text = read_file("/proc/sys/kernel/random/boot_id", 128);
    return text ? std::string(trim(*text)) : "";
}

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
    const auto end_of_name = text.rfind(')');
    if (end_of_name == std::string_view::npos || end_of_name + 2 >= text.size()) {
        return std::nullopt;
    }
    // The first field behind the name is the third of the file.
    const auto fields = split(trim(text.substr(end_of_name + 2)), ' ');
    if (fields.size() < 22 || fields[0].size() != 1) {
        return std::nullopt;
    }
    const auto parent = parse_number<pid_t>(fields[1]);
    const auto user = parse_number<std::uint64_t>(fields[11]);
    const auto system = parse_number<std::uint64_t>(fields[12]);
    const auto start = parse_number<std::uint64_t>(fields[19]);
    const auto pages = parse_number<std::int64_t>(fields[21]);
    if (!parent || !user || !system || !start || !pages) {
        return std::nullopt;
    }
    return ProcStat{fields[0][0], *parent, *user + *system, *start, *pages};
}

std::optional<ProcStat> proc_stat(pid_t pid) {
    const auto text = read_file(proc_path(pid, "stat"), 1 << 14);
    return text ? parse_proc_stat(*text) : std::nullopt;
}

std::optional<uid_t> proc_uid(pid_t pid) {
    const auto uids = proc_uids(pid);
    return uids ? std::optional((*uids)[0]) : std::nullopt;
}

bool uid_in_use(uid_t uid) {
    for (const pid_t pid : all_pids()) {
        const auto uids = proc_uids(pid);
        if (uids && std::find(uids->begin(), uids->end(), uid) != uids->end()) {
            const auto stat = proc_stat(pid);
            if (stat && stat->state != 'Z' && stat->state != 'X') {
                return true;
            }
        }
    }
    return false;
}

std::vector<pid_t> all_pids() {
    std::vector<pid_t> pids;
    const Dir dir(::opendir("/proc"));
    while (dir != nullptr) {
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            break;
        }
        if (const auto pid = parse_number<pid_t>(static_cast<const char*>(entry->d_name))) {
            pids.push_back(*pid);
        }
    }
    return pids;
}

std::vector<pid_t> descendants(pid_t root) {
    std::vector<std::pair<pid_t, pid_t>> parents;    // (process, its parent)
    for (const pid_t pid : all_pids()) {
        if (const auto stat = proc_stat(pid)) {
            parents.emplace_back(pid, stat->parent);
        }
    }
    std::set<pid_t> below{root};
    for (bool grown = true; grown;) {
        grown = false;
        for (const auto& [pid, parent] : parents) {
            grown = (below.contains(parent) && below.insert(pid).second) || grown;
        }
    }
    below.erase(root);
    return {below.begin(), below.end()};
}

bool holds_file(pid_t pid, const std::string& link) {
    const std::string folder = proc_path(pid, "fd");
    const Dir dir(::opendir(folder.c_str()));
    while (dir != nullptr) {
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            break;
        }
        char target[64];
        const ssize_t n =
            ::readlink((folder + "/" + static_cast<const char*>(entry->d_name)).c_str(), target,
                       sizeof target);
        if (n > 0 && std::string_view(target, static_cast<std::size_t>(n)) == link) {
            return true;
        }
    }
    return false;
}

Result<Fd> open_process(pid_t pid, std::uint64_t start_ticks) {
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) {
        return errno == ESRCH || errno == EINVAL
                   ? fail(Code::not_found, "process " + std::to_string(pid) + " is gone")
                   : fail_errno("cannot open process " + std::to_string(pid), errno);
    }
    // Asked after opening: what the number means now, it meant when we opened it.
    const auto stat = proc_stat(pid);
    if (!stat || stat->start_ticks != start_ticks) {
        return fail(Code::not_found, "process " + std::to_string(pid) + " is gone");
    }
    return pidfd;
}

bool send_signal(const Fd& pidfd, int signal) {
    return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0 || errno == ESRCH;
}

}    // namespace seatrial::process
