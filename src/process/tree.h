// Changing the owner of trees, and removing them, as root, below folders that users' programs
// write: every step works on open descriptors, follows no link and crosses no mount.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/file.h"

namespace seatrial::process {

struct Ownership {
    uid_t uid = 0;    // the new owner
    gid_t gid = 0;
    uid_t daemon = 0;
    uid_t first_slot = 0;    // the instance's own range
    uid_t last_slot = 0;
};

// Gives `name` in `parent` and all below it to the new owner. Only what belongs to the daemon
// or to a slot changes hands; anything else is `refused` and left, half-way then. Repeatable.
Status own_tree(const Fd& parent, const std::string& name, const Ownership& to);

// Removes `name` in `parent` and all below it; absent is ok. `conflict` when something is mounted
// inside. Trees of any depth. Repeatable, also while the tree still changes.
Status remove_tree(const Fd& parent, const std::string& name);

}    // namespace seatrial::process
