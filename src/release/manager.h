// What people and machines propose about releases becomes wanted here, and nowhere else; the
// reconciler does it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "approval/approval.h"
#include "release/deployment.h"
#include "release/reconciler.h"

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

struct Deploying {
    std::string life;
    std::int64_t generation = 0;
    std::int64_t after = 0;    // events up to this one belong to earlier requests
    // Nothing is wanted yet: this request waits for a person; `after` counts for its events.
    std::optional<store::Approval> waits;
};

// Thread: any. Errors: `invalid`, `refused` (hold, rejected release), `not_found`.
class Manager {
public:
    struct Proposal;
    Manager(store::Records& records, Reconciler& reconciler)
        : records_(records), reconciler_(reconciler) {}

    // A newer request replaces one under way or waiting: the newest is wanted, the others are
    // skipped. Where the rules want an approval, it is asked for.
    Result<Deploying> deploy(const DeployRequest& request) { return put_deploy(request, nullptr); }
    // Holds automation until lifted.
    Result<Deploying> roll_back(const RollbackRequest& request) {
        return put_rollback(request, nullptr);
    }
    // The yes and what it allows in one transaction, whatever the rules of the request; it is
    // refused when that would be something else than what was asked for.
    Result<Deploying> deploy_approved(const DeployRequest& request,
                                      const approval::Decision& decision) {
        return put_deploy(request, &decision);
    }
    Result<Deploying> roll_back_approved(const RollbackRequest& request,
                                         const approval::Decision& decision) {
        return put_rollback(request, &decision);
    }
    Status reject(const approval::Decision& decision);
    // False: nothing was held.
    Result<bool> lift_hold(const std::string& app, const std::string& env,
                           const std::string& actor);

private:
    Status check_ports(const DeployRequest& request);
    Result<Deploying> put_deploy(const DeployRequest& request, const approval::Decision* decision);
    Result<Deploying> put_rollback(const RollbackRequest& request,
                                   const approval::Decision* decision);
    using Admit = std::function<Status(store::Writer&, Proposal&)>;
    Result<Deploying> propose(const approval::Rules& rules, const approval::Decision* decision,
                              const Proposal& proposal, const Admit& admit);

    store::Records& records_;
    Reconciler& reconciler_;
};

}    // namespace seatrial::release
