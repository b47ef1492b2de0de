// Overlay mounts on open folders, so that no name can be exchanged between check and use.
#pragma once

#include <string>

#include "base/file.h"

namespace seatrial::process {

// `target` is the folder `name` in `parent`. `conflict` when something is mounted there;
// `unavailable` when the kernel or the file system cannot. Needs root.
struct Overlay {
    Fd lower;
    Fd upper;
    Fd work;
    Fd target;
};
Status mount_overlay(const Overlay& overlay, const Fd& parent, const std::string& name);

// Unmounts every overlay at `name` in `parent`; none there is ok. What is in use is detached:
// it disappears from the tree now and from memory when its last user ends. `refused` when
// something else is mounted there, `unavailable` without root.
Status umount_overlay(const Fd& parent, const std::string& name);

}    // namespace seatrial::process
