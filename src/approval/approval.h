// Decisions by people. A request is bound to exactly what a yes would allow, is decided once by
// somebody who may, and ends by itself. What a yes allows becomes wanted in the transaction that
// records the yes (release/manager.h): after kill -9 there are both or neither.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "approval/people.h"
#include "store/records.h"

namespace seatrial::approval {

// Of an environment, as its configuration says now.
struct Rules {
    bool required = false;
    std::vector<std::string> approvers;    // "unix:alice", "uid:1000", ...; never empty
    bool self = true;                      // who asked may approve, too
    std::chrono::milliseconds expires{4 * 3'600'000};
    bool unseen = false;    // required for a migration of which no SQL tells what it does
};

inline constexpr std::string_view deploy_action = "deploy";
inline constexpr std::string_view rollback_action = "rollback";
inline constexpr std::string_view restore_action = "restore";    // its subject: a snapshot's id

// States of a request; all but `open` are final.
inline constexpr std::string_view open_state = "open";
inline constexpr std::string_view approved_state = "approved";
inline constexpr std::string_view rejected_state = "rejected";
inline constexpr std::string_view expired_state = "expired";
inline constexpr std::string_view superseded_state = "superseded";

// Kind of the events that tell of a request; their life is its id.
inline constexpr const char* event_kind = "approval";

struct Asked {
    std::string action;
    std::string app, env;
    std::string subject;    // release id
    std::string digest;     // of all that a yes allows
    std::string actor, reason;
    std::string details;    // JSON object, for people
};

struct Decision {
    std::string id;
    bool yes = false;
    std::string actor, reason;    // a no needs a reason
};

// Nobody can ever say yes: `refused`, saying so before anybody waits. Asks the user database.
Status check_possible(const Rules& rules, const std::string& actor, const FindUser& find_user);
// `refused` unless its actor may decide so. Who asked may always take it back (a no). Asks the user
// database.
Status check_may_decide(const Rules& rules, const store::Approval& approval,
                        const Decision& decision, const FindUser& find_user);

// Inside one transaction each; `now` decides what is past its time.

// An open request of the same content is joined (`fresh` is false); other open ones of the same
// app and environment are superseded.
struct Opened {
    store::Approval approval;
    bool fresh = false;
};
Result<Opened> ask(store::Writer& writer, const Asked& asked, const Rules& rules, WallTime now);
// Exactly once: `conflict` when it is decided, expired or superseded; `not_found`; `refused` for a
// yes to something else than `digest`, what would be done now; `invalid` without a reason for a no.
// The event of a yes carries `started` (JSON object).
Result<store::Approval> decide(store::Writer& writer, const Decision& decision,
                               const std::string& digest, const std::string& started, WallTime now);
// Something newer is wanted there. `but`: the id of the request that it comes from.
Status supersede(store::Writer& writer, const std::string& app, const std::string& env,
                 const std::string& by, const std::string& but, WallTime now);
// Ends what is past its time.
Status expire(store::Writer& writer, WallTime now);

}    // namespace seatrial::approval
