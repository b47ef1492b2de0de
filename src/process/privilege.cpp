#include "process/privilege.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include "base/file.h"

namespace seatrial::process {
namespace {

constexpr uid_t fallback_uid = 60990;

struct Folder {
    const char* name;
    mode_t mode;
};
// Users' programs must pass through some of these to reach what is theirs, and list none.
constexpr std::array folders{Folder{"", 0711},         Folder{"run", 0700},
                             Folder{"previews", 0711}, Folder{"trees", 0711},
                             Folder{"scratch", 0711},  Folder{"trash", 0700}};

Identity identity_of(const passwd& entry) {
    return {entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir};
}

Status make_folder(const std::string& path, mode_t mode, const Identity& identity) {
    TRY(make_dirs(path, 0755));
    const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0) {
        return fail_errno("cannot open folder " + path, errno);
    }
    if (info.st_uid != identity.uid) {
        std::error_code error;
        if (!std::filesystem::is_empty(path, error) || error) {
            return fail(
                Code::conflict,
                path + " belongs to uid " + std::to_string(info.st_uid) + " and is not empty",
                "choose another data folder, or give it to uid " + std::to_string(identity.uid));
        }
        if (::fchown(fd.get(), identity.uid, identity.gid) != 0) {
            return fail_errno("cannot give folder " + path + " away", errno);
        }
    }
    if ((info.st_mode & 07777) != mode && ::fchmod(fd.get(), mode) != 0) {
        return fail_errno("cannot set the mode of " + path, errno);
    }
    return {};
}

bool has_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) {
        return true;
    }
    return (data[0].permitted | data[1].permitted | data[0].effective | data[1].effective) != 0;
}

bool is_dropped(const Identity& identity) {
    uid_t real = 0;
    uid_t effective = 0;
    uid_t saved = 0;
    return ::getresuid(&real, &effective, &saved) == 0 && real == identity.uid &&
           effective == identity.uid && saved == identity.uid && ::setresuid(0, 0, 0) != 0 &&
           ::setresgid(0, 0, 0) != 0 && !has_capabilities();
}

}    // namespace

Result<Identity> daemon_identity(const std::string& user) {
    if (::geteuid() != 0) {
        const passwd* self = ::getpwuid(::getuid());
        return self != nullptr ? identity_of(*self) : Identity{::getuid(), ::getgid(), "", ""};
    }
    uid_t number = fallback_uid;
    const auto parsed = std::from_chars(user.data(), user.data() + user.size(), number);
    const bool numeric =
        !user.empty() && parsed.ec == std::errc{} && parsed.ptr == user.data() + user.size();
    const passwd* entry =
        numeric ? ::getpwuid(number) : ::getpwnam(user.empty() ? "seatrial" : user.c_str());
    if (entry == nullptr && !numeric && !user.empty()) {
        return fail(Code::invalid, "there is no user '" + user + "'",
                    "create it, or name another by 'user'");
    }
    Identity identity = entry != nullptr ? identity_of(*entry) : Identity{number, number, "", ""};
    if (identity.uid == 0 || identity.gid == 0) {
        return fail(Code::invalid, "the daemon never runs as root",
                    "name an ordinary user by 'user'");
    }
    return identity;
}

Status make_data_folder(const std::filesystem::path& data, const Identity& identity) {
    for (const Folder& folder : folders) {
        const auto path = *folder.name == '\0' ? data : data / folder.name;
        TRY(make_folder(path.string(), folder.mode, identity));
    }
    return {};
}

Status drop_root(const Identity& identity, const std::filesystem::path& data) {
    if (::geteuid() != 0) {
        return {};
    }
    for (unsigned long cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
        ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
    const int groups = identity.name.empty() ? ::setgroups(0, nullptr)
                                             : ::initgroups(identity.name.c_str(), identity.gid);
    if (groups != 0 || ::setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
        ::setresuid(identity.uid, identity.uid, identity.uid) != 0 ||
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return fail_errno("cannot become uid " + std::to_string(identity.uid), errno);
    }
    if (!is_dropped(identity)) {
        return fail(Code::internal, "root was not left for good");
    }
#if __has_feature(address_sanitizer)
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);    // the leak check traces its own process
#endif
    const bool has_home = !identity.home.empty() && ::access(identity.home.c_str(), X_OK) == 0;
    ::setenv("HOME", has_home ? identity.home.c_str() : data.c_str(), 1);
    return {};
}

}    // namespace seatrial::process
