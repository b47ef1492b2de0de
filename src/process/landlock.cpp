#include "process/landlock.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace seatrial::process {
namespace {

// From linux/landlock.h of 6.12.
struct RulesetAttr {
    std::uint64_t handled_access_fs;
    std::uint64_t handled_access_net;
    std::uint64_t scoped;
};
struct __attribute__((packed)) PathBeneathAttr {
    std::uint64_t allowed_access;
    std::int32_t parent_fd;
};
struct NetPortAttr {
    std::uint64_t allowed_access;
    std::uint64_t port;
};
constexpr unsigned create_ruleset_version = 1;
constexpr int rule_path_beneath = 1;
constexpr int rule_net_port = 2;
constexpr std::uint64_t fs_write_file = 1U << 1U;
constexpr std::uint64_t fs_folder_writes = 0x1FF0;    // remove_dir (4) to make_sym (12)
constexpr std::uint64_t fs_refer = 1U << 13U;         // ABI 2
constexpr std::uint64_t fs_truncate = 1U << 14U;      // ABI 3
constexpr std::uint64_t fs_ioctl_dev = 1U << 15U;     // ABI 5
constexpr std::uint64_t net_bind_tcp = 1U << 0U;      // ABI 4
constexpr std::uint64_t scope_all = 3;                // abstract sockets and signals, ABI 6

// How much of RulesetAttr the kernel of an ABI knows.
std::size_t attr_size(int abi) {
    return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

std::uint64_t handled_writes(int abi) {
    return fs_write_file | fs_folder_writes | fs_refer | (abi >= 3 ? fs_truncate : 0) |
           (abi >= 5 ? fs_ioctl_dev : 0);
}

bool add_rule(const Fd& ruleset, int type, const void* rule) {
    return ::syscall(SYS_landlock_add_rule, ruleset.get(), type, rule, 0) == 0;
}

}    // namespace

int landlock_abi() {
    const auto abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, create_ruleset_version);
    return abi >= 2 ? static_cast<int>(abi) : 0;
}

Result<Fd> make_landlock(const std::vector<Fd>& writable, const std::vector<int>& tcp_bind) {
    const int abi = landlock_abi();
    if (abi == 0) {
        return fail(Code::unavailable, "the kernel has no usable Landlock");
    }
    const bool bind_rules = abi >= 4 && !tcp_bind.empty();
    const RulesetAttr attr{handled_writes(abi), bind_rules ? net_bind_tcp : 0,
                           abi >= 6 ? scope_all : 0};
    Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0)));
    if (!ruleset) {
        return fail_errno("cannot make a Landlock ruleset", errno);
    }
    for (const Fd& place : writable) {
        struct stat info{};
        if (::fstat(place.get(), &info) != 0) {
            return fail_errno("cannot look at a writable path", errno);
        }
        const std::uint64_t for_files = fs_write_file | fs_truncate | fs_ioctl_dev;
        const PathBeneathAttr rule{
            handled_writes(abi) & (S_ISDIR(info.st_mode) ? ~0ULL : for_files), place.get()};
        if (!add_rule(ruleset, rule_path_beneath, &rule)) {
            return fail_errno("cannot allow writing below a path", errno);
        }
    }
    for (const int port : bind_rules ? tcp_bind : std::vector<int>{}) {
        const NetPortAttr rule{net_bind_tcp, static_cast<std::uint64_t>(port)};
        if (!add_rule(ruleset, rule_net_port, &rule)) {
            return fail_errno("cannot allow a port", errno);
        }
    }
    return ruleset;
}

bool enter_landlock(int ruleset) {
    return ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

}    // namespace seatrial::process
