// What the records hold, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace seatrial::store {

inline constexpr int schema_version = 3;

// One existence of a preview, from first wanted to receipt; or what is deployed of an app in an
// environment (kind "deployment", key "").
struct Life {
    std::string id;    // ULID
    std::string kind = "preview";
    std::string app, key, env;           // the subject
    std::string state;                   // P5
    bool wanted = true;                  // false: shall be absent
    std::int64_t generation = 0;         // of what is wanted
    std::int64_t done_generation = 0;    // last generation whose plan ended, well or not
    std::string spec;                    // JSON snapshot of what is wanted
    std::string status;                  // JSON: urls, failure, isolation, restarts, receipt, ...
    WallTime created_at{}, changed_at{};
    std::optional<WallTime> expires_at;
    bool pinned = false, warned = false;
};

// A resource in the world that a life owns (life "" = shared by many).
struct Owned {
    std::string life;
    std::int64_t order = 0;
    std::string type, place, name;
};

struct Event {
    std::int64_t seq = 0;    // given by the store
    WallTime at{};
    std::string life;
    std::int64_t generation = 0;
    std::string actor;    // "uid:1000", "timer", "reconciler"
    std::string kind;     // "state", "step", "ttl", "operation", ...
    std::string data;     // JSON object
};

struct Slot {
    std::string kind;    // "port", "uid"
    std::string place;
    std::int64_t number = 0;
    std::string life;
    std::string role;    // component of a port
};

// What was built once from one commit.
struct Release {
    std::string id;    // ULID
    std::string app;
    WallTime at{};
    std::string rejected;    // why nobody may deploy it any more; "" = good
    std::string data;        // JSON: commit, version, components, ...
};

// A release that had to be taken back, for people to learn from.
struct Incident {
    std::string id;    // ULID
    std::string app, env;
    WallTime at{};
    std::string data;    // JSON
};

// What somebody asked for and somebody else decides (approval/approval.h).
struct Approval {
    std::string id;        // ULID
    std::string action;    // "deploy", "rollback"
    std::string app, env;
    std::string subject;    // release id
    std::string digest;     // of all that a yes allows
    std::string state;      // "open" and the final ones
    std::string asked_by, reason;
    WallTime asked_at{}, expires_at{};
    std::string decided_by, decision_reason;
    std::optional<WallTime> decided_at;
    std::string data;    // JSON: tag, commit, components, ...
};

struct LifeFilter {
    std::string kind = "preview";
    std::string app, key, env;    // "" = any
    bool removed = false;         // include those whose removal is complete
};

}    // namespace seatrial::store
