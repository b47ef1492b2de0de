// Who this installation is: the lock on its data folder, its instance id and its key.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/secret.h"

namespace seatrial::app {

// Where a daemon lies when nobody says: $SEATRIAL_DATA, else /var/lib/seatrial for root, else
// $XDG_STATE_HOME/seatrial or ~/.local/state/seatrial.
std::filesystem::path default_data();

// flock on <data>/lock, held as long as the descriptor lives; its content names the holder.
// Errors: `conflict` naming the pid that holds it.
Result<Fd> lock_data(const std::filesystem::path& data);

struct Instance {
    std::string id;        // base/names make_instance_id
    bool moved = false;    // made on another machine: the collector only reports
};
// Reads <data>/instance, makes it when absent.
Result<Instance> open_instance(const std::filesystem::path& data);
// Accepts this machine as the instance's own.
Status adopt_machine(const std::filesystem::path& data, const std::string& id);

// 32 random bytes in <data>/instance.key (0600): makes database passwords.
Result<Secret> open_key(const std::filesystem::path& data);

std::string boot_id();

}    // namespace seatrial::app
