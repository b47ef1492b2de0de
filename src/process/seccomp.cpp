#include "process/seccomp.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace seatrial::process {
namespace {

constexpr std::array denied{
    // mounts and roots
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "swapon", "swapoff", "quotactl",
    "quotactl_fd", "open_by_handle_at",
    // other processes' memory, and namespaces of others
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "setns",
    // wide kernel surface that development servers do not need
    "bpf", "keyctl", "add_key", "request_key", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "perf_event_open", "lookup_dcookie", "fanotify_init",
    // the machine itself
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot",
    "acct", "iopl", "ioperm", "settimeofday", "stime", "clock_settime", "clock_settime64",
    "sethostname", "setdomainname", "syslog", "vhangup", "nfsservctl", "uselib", "_sysctl"};

constexpr std::array<unsigned, 8> namespace_flags{CLONE_NEWUSER,   CLONE_NEWNS,  CLONE_NEWPID,
                                                  CLONE_NEWNET,    CLONE_NEWIPC, CLONE_NEWUTS,
                                                  CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};

struct Release {
    void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

// 0 or -errno. Names that this architecture or library does not know are no danger here.
int deny(const Filter& filter, const char* name, int error) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || number < 0) {
        return 0;
    }
    return seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(static_cast<std::uint16_t>(error)), number,
                            0);
}

int deny_namespaces(const Filter& filter) {
    const auto action = SCMP_ACT_ERRNO(EPERM);
    for (const unsigned flag : namespace_flags) {
        const scmp_arg_cmp has_flag{0, SCMP_CMP_MASKED_EQ, flag, flag};
        int error = seccomp_rule_add_array(filter.get(), action, SCMP_SYS(unshare), 1, &has_flag);
        // In clone() the low byte is the exit signal, so the time namespace is not for it.
        if (error == 0 && flag > 0xFF) {
            error = seccomp_rule_add_array(filter.get(), action, SCMP_SYS(clone), 1, &has_flag);
        }
        if (error != 0) {
            return error;
        }
    }
    // Its flags lie in memory where a filter cannot see them; C libraries fall back to clone.
    return deny(filter, "clone3", ENOSYS);
}

bool kernel_filters() {
    const std::uint32_t action = SECCOMP_RET_ERRNO;
    return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

}    // namespace

Result<Fd> make_seccomp_program() {
    if (!kernel_filters()) {
        return fail(Code::unavailable, "the kernel has no seccomp filters");
    }
    const Filter filter(seccomp_init(SCMP_ACT_ALLOW));
    if (filter == nullptr) {
        return fail(Code::internal, "cannot make a seccomp filter");
    }
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);    // a tree, not a chain
    int error = deny_namespaces(filter);
    for (const char* name : denied) {
        error = error != 0 ? error : deny(filter, name, EPERM);
    }
    Fd file(::memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (error == 0 && file) {
        error = seccomp_export_bpf(filter.get(), file.get());
    }
    if (error != 0 || !file) {
        return fail_errno("cannot make the seccomp filter", error != 0 ? -error : errno);
    }
    ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    return file;
}

}    // namespace seatrial::process
