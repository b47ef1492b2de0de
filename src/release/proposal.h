// What people and machines propose about releases, and whether it may be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/approval.h"
#include "release/deployment.h"
#include "store/records.h"

namespace seatrial::release {

struct DeployRequest {
    std::string app, env;
    Content content;
    Settings settings;
    std::string actor, reason;
    bool manual = true;    // false: automation, which a hold refuses
    approval::Rules rules{};
    std::string rules_of{};                    // another environment's rules; "" = its own
    std::string from{};                        // promoted from there
    std::vector<std::string> differences{};    // between the two, allowed by who asks
    std::vector<std::string> notes{};          // for people
    std::vector<std::string> shares{};         // environments with the same database
};

struct RollbackRequest {
    std::string app, env;
    std::string to;    // id or tag of a release that a slot still holds; "" = the one before
    std::string actor, reason;
    approval::Rules rules{};
};

struct RestoreRequest {
    std::string app, env;
    std::string snapshot;    // id
    bool discard = false;    // what was written since
    std::string actor, reason;
    approval::Rules rules{};
};

// What somebody proposes, while its transaction goes on.
struct Proposal {
    std::string_view action;
    std::string app, env, actor, reason;
    store::Life life = {};
    Spec spec = {};
    Standing standing = {};
    Content content = {};    // what would run
    Content bad = {};        // of a rollback: what it is taken back from
    // Of a deploy, for people and for the record.
    std::string from = {}, rules_of = {};
    std::vector<std::string> differences = {}, notes = {};
};

// In a transaction, which they only read: fill in `now`, or say why it may not be (`refused`,
// `conflict`, `not_found`).
Status admit_deploy(store::Writer& writer, const DeployRequest& request, Proposal& now);
Status admit_rollback(store::Writer& writer, const RollbackRequest& request, Proposal& now);
Status admit_restore(store::Writer& writer, const RestoreRequest& request, Proposal& now);
// What a yes would allow, for people; its digest is what the yes is bound to.
Result<approval::Asked> make_asked(store::Writer& writer, const Proposal& now);
// Of a rollback by hand: somebody found the release bad.
store::Incident incident_of(const Proposal& now);
// Who holds first is told; a second rollback by hand does not start the hold anew.
void set_hold(Spec& spec, bool held, const std::string& by, const std::string& reason);

}    // namespace seatrial::release
