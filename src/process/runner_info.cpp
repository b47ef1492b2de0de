#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/names.h"
#include "base/text.h"
#include "process/members.h"
#include "process/proc.h"
#include "process/runner_impl.h"
#include "process/uid_range.h"

namespace seatrial::process {
namespace {

constexpr auto short_call = std::chrono::seconds(10);

// A number in a file of the kernel's: the whole file, or behind `key` at a line's start.
std::optional<std::int64_t> read_number(const std::string& file, std::string_view key = {}) {
    const auto text = file.empty() ? Result<std::string>("") : read_file(file, 1 << 16);
    for (const auto line : split(text ? std::string_view(*text) : "", '\n')) {
        if (!line.starts_with(key)) {
            continue;
        }
        const auto digits = trim(line.substr(key.size()));
        std::int64_t value = 0;
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (parsed.ec == std::errc{}) {
            return value;
        }
    }
    return std::nullopt;
}

std::string memory_file(const CgroupLayout& layout, const std::string& name) {
    if (layout.v2_has("memory")) {
        return layout.v2 + "/" + name + "/app/memory.current";
    }
    return layout.v1_memory.empty() ? "" : layout.v1_memory + "/" + name + "/memory.usage_in_bytes";
}

}    // namespace

Result<std::vector<std::string>> Runner::list() const {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(impl_->data / "run", error)) {
        names.insert(entry.path().filename().string());
    }
    if (error) {
        return fail_errno("cannot list the runs", error.value());
    }
    for (auto& name : list_cgroups(impl_->cgroups)) {
        names.insert(std::move(name));
    }
    std::erase_if(names, [this](const auto& name) { return !is_our_name(impl_->instance, name); });
    return std::vector<std::string>(names.begin(), names.end());
}

Result<std::vector<pid_t>> Runner::pids(const std::string& name) const {
    TRY_ASSIGN(const RunLook seen, impl_->look(name));
    Members members = members_of(impl_->cgroups, name);
    members.first_uid = first_uid(impl_->instance);
    members.last_uid = members.first_uid + static_cast<uid_t>(uid_slots) - 1;
    members.other_uid = impl_->identity.uid;
    if (members.cgroup.empty() && seen.record && seen.record->boot_id == boot_id()) {
        members.shim = seen.locked ? seen.record->shim : 0;
        members.pipe = seen.record->pipe;
    }
    return members.list();
}

Result<Runner::Usage> Runner::usage(const std::string& name) const {
    TRY_ASSIGN(const auto members, pids(name));
    const std::int64_t page = ::sysconf(_SC_PAGESIZE);
    const std::int64_t ticks_per_second = ::sysconf(_SC_CLK_TCK);
    Usage usage;
    usage.processes = static_cast<int>(members.size());
    std::int64_t resident = 0;
    std::int64_t ticks = 0;
    for (const pid_t pid : members) {
        if (const auto stat = proc_stat(pid)) {
            resident += stat->resident_pages * page;
            ticks += static_cast<std::int64_t>(stat->cpu_ticks);
        }
    }
    // The group's own figures count shared pages once, and what ended processes have used.
    usage.memory_bytes = read_number(memory_file(impl_->cgroups, name)).value_or(resident);
    const auto group_cpu =
        impl_->cgroups.v2.empty()
            ? std::nullopt
            : read_number(app_cgroup(impl_->cgroups, name) + "/cpu.stat", "usage_usec ");
    usage.cpu = group_cpu ? std::chrono::milliseconds(*group_cpu / 1000)
                          : std::chrono::milliseconds(ticks * 1000 / ticks_per_second);
    return usage;
}

Status Runner::own(const std::filesystem::path& tree, int uid_slot, const Context& ctx) {
    TRY_ASSIGN(const auto inside, impl_->relative(tree));
    const PlainRequest request{{inside}, uid_slot};
    return impl_->call(Verb::own, encode(request), {}, ctx).map([](const auto&) {});
}

Status Runner::remove(const std::filesystem::path& tree, const Context& ctx) {
    TRY_ASSIGN(const auto inside, impl_->relative(tree));
    return impl_->call(Verb::remove, encode(PlainRequest{{inside}, 0}), {}, ctx)
        .map([](const auto&) {});
}

Status Runner::mount(const std::filesystem::path& lower, const std::filesystem::path& upper,
                     const std::filesystem::path& work, const std::filesystem::path& target,
                     const Context& ctx) {
    PlainRequest request;
    for (const auto& path : {lower, upper, work, target}) {
        TRY_ASSIGN(auto inside, impl_->relative(path));
        request.texts.push_back(std::move(inside));
    }
    return impl_->call(Verb::mount, encode(request), {}, ctx).map([](const auto&) {});
}

Status Runner::umount(const std::filesystem::path& target, const Context& ctx) {
    TRY_ASSIGN(const auto inside, impl_->relative(target));
    return impl_->call(Verb::umount, encode(PlainRequest{{inside}, 0}), {}, ctx)
        .map([](const auto&) {});
}

bool Runner::privileged() const {
    return impl_->root;
}

int Runner::helper_fd() const {
    return impl_->helper.get();
}

uid_t Runner::uid_of(int uid_slot) const {
    return impl_->root && uid_slot >= 0 ? first_uid(impl_->instance) + static_cast<uid_t>(uid_slot)
                                        : impl_->identity.uid;
}

Result<bool> Runner::uid_idle(int uid_slot) const {
    if (!impl_->root) {
        return true;
    }
    // By the helper: /proc may hide other users' processes from us.
    const Context ctx = Context().with_timeout(short_call);
    const PlainRequest request{{}, uid_slot};
    TRY_ASSIGN(const auto answer, impl_->call(Verb::census, encode(request), {}, ctx));
    return answer == "idle";
}

Isolation Runner::isolation() const {
    Isolation reached;
    const CgroupLayout& cgroups = impl_->cgroups;
    reached.own_uid = impl_->root;
    reached.cgroup = cgroups.kind();
    reached.seccomp = static_cast<bool>(impl_->seccomp);
    reached.landlock_abi = impl_->landlock;
    reached.private_tmp = impl_->private_tmp;
    const auto missing = [&reached](bool there, const char* sentence) {
        if (!there) {
            reached.missing.emplace_back(sentence);
        }
        return there;
    };
    missing(reached.own_uid,
            "No user of its own: previews can read each other's files and end each other's "
            "processes (start seatrial as root).");
    const bool memory = missing(cgroups.has("memory"),
                                "No memory limit: no writable cgroup has the memory controller.");
    const bool pids = missing(cgroups.has("pids"),
                              "No limit of processes per preview: no writable cgroup has the pids "
                              "controller (RLIMIT_NPROC stands in).");
    const bool cpu =
        missing(cgroups.has("cpu"), "No CPU limit: no writable cgroup has the cpu controller.");
    missing(cgroups.kind() != "none",
            "No cgroup: processes are followed by their parents, which costs certainty when the "
            "shim is killed.");
    missing(reached.seccomp, "No system call filter: the kernel has no seccomp filters.");
    missing(reached.landlock_abi > 0,
            "No Landlock: previews may write wherever their user may (needs Linux 5.19).");
    missing(
        reached.private_tmp,
        "No private /tmp: what previews write to /tmp, /var/tmp and /dev/shm is seen by all and "
        "stays (needs root and Linux 5.2).");
    const std::string data = impl_->data.string() + "/";
    missing(
        !data.starts_with("/tmp/") && !data.starts_with("/var/tmp/") && !data.starts_with("/dev/"),
        "The data folder lies below a folder that every preview may write to: Landlock does "
        "not protect it.");
    const bool strong = reached.own_uid && memory && pids && cpu && reached.seccomp &&
                        reached.landlock_abi > 0 && reached.private_tmp;
    const bool standard = reached.own_uid && reached.seccomp;
    reached.level = strong ? "strong" : standard ? "standard" : "basic";
    return reached;
}

}    // namespace seatrial::process
