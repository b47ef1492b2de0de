// The one gate: policy and limits decide whether what somebody proposes may become wanted. Pure
// functions; the caller brings what stands.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "config/config.h"

namespace seatrial::admit {

struct Proposal {
    std::string app, key, env;
    std::string branch;             // full ref
    std::string isolation;          // level that a run would reach here
    std::int64_t free_bytes = 0;    // on the disk of the data folder
    bool update = false;            // moves one that stands: limits never refuse that
};

// Someone who holds a place of the environment.
struct Occupant {
    std::string app, key, state;
    std::optional<WallTime> expires_at;
};

// All reasons at once. Errors: `refused` with what would have to change; `unavailable` for a
// full disk.
Status check_policy(const Proposal& proposal, const config::Server& server,
                    const config::Environment& environment);

// `refused` naming who holds the places when there is none left. Updates always pass.
Status check_room(const Proposal& proposal, const config::Environment& environment,
                  const std::vector<Occupant>& occupants);

// Glob over branch names: '*' any run of characters, '?' one. "release/*" as in A8.
bool matches_glob(std::string_view pattern, std::string_view text);

}    // namespace seatrial::admit
