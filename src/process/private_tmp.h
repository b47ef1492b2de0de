// As root every run has a mount namespace of its own, in which /tmp, /var/tmp and /dev/shm are not
// the host's: what an app writes there by name meets nobody, and goes with its preview.
//
// /tmp and /var/tmp are one folder of the preview (RunSpec::tmp): it lies on the disk, so it costs
// one bind mount and no memory, all components share it, it survives their restart, counts with
// the preview's bytes and is removed with them. A run that names none gets a tmpfs for its own
// time. /dev/shm is always such a tmpfs, charged to the run's memory limit.
//
// Mounts that the host makes or removes later appear or disappear inside where the host's mounts
// are shared (as systemd sets them up). Overlays of other previews are let go, so that the
// namespace keeps nothing of theirs alive after they were unmounted.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/file.h"

namespace seatrial::process {

// Folders that are replaced.
inline constexpr const char* private_folders[] = {"/tmp", "/var/tmp", "/dev/shm"};
// True for a path in or at one of them.
bool is_private(const std::string& path);

// Mounts that are attached nowhere yet; their roots can be named in a Landlock ruleset.
struct PrivateTmp {
    Fd tmp;
    Fd shm;
};
// `folder`: what is to be seen at /tmp, none for a tmpfs. Errors: `unavailable`.
Result<PrivateTmp> make_private_tmp(const Fd& folder);

struct PrivateView {
    const PrivateTmp* mounts = nullptr;
    std::string own;    // absolute folder whose overlays stay
    // Roots of ours, seen also where they lie in a private folder: checked to be the same folder.
    std::vector<std::pair<std::string, int>> roots;
    // Folders of others that stay to be seen, as far as this user may go there.
    std::vector<std::string> shown;
    uid_t uid = 0;
    gid_t gid = 0;
};
// The calling process, single-threaded and root, gets its own namespace. False: errno.
bool enter_private_tmp(const PrivateView& view);

// The open folder `fd` anew, by its path in this namespace; none: errno. A descriptor from outside
// would lead back there.
Fd reopen_folder(const std::string& path, int fd);

// Tried in a process of its own: false without root or on kernels before 5.2.
bool can_have_private_tmp();

}    // namespace seatrial::process
