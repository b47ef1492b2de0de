// Who somebody is: actors ("uid:1000") and entries of `approvers` ("unix:alice", "uid:1000").
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace seatrial::approval {

// The id of a user of this machine; nullopt when there is none.
using FindUser = std::function<std::optional<uid_t>(const std::string& name)>;
// By the machine's user database, which may wait for a network.
std::optional<uid_t> find_user(const std::string& name);
// "unix:alice", or "uid:1000" when the user has no name. Asks the user database.
std::string person_of(uid_t uid);

// The uid of "uid:1000"; nullopt for anything else.
std::optional<uid_t> uid_of_actor(const std::string& actor);
// Those of the entries that are users of this machine.
std::vector<uid_t> users_among(const std::vector<std::string>& entries, const FindUser& find_user);

}    // namespace seatrial::approval
