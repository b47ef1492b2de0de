// Leaving root for good, and the data folder that the daemon's user then owns.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/result.h"

namespace seatrial::process {

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;    // "" when the number has no account
    std::string home;    // "" when there is none
};

// As root: `user` by name or number; "" is the user `seatrial`, else the number 60990. Never
// root itself (`invalid`). Otherwise: who we are, whatever is asked.
Result<Identity> daemon_identity(const std::string& user);

// Makes the data folder with its roots (run, previews, trees, scratch, trash), owned by
// `identity`. A folder that is not empty and belongs to somebody else is a `conflict`.
Status make_data_folder(const std::filesystem::path& data, const Identity& identity);

// As root: this process becomes `identity`, without capabilities and without a way back (tried,
// and an error if it worked). Also sets HOME, which would still be root's. Otherwise nothing.
// Thread: before any other thread exists.
Status drop_root(const Identity& identity, const std::filesystem::path& data);

}    // namespace seatrial::process
