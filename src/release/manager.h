// What people and machines propose about releases becomes wanted here, and nowhere else; the
// reconciler does it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "approval/approval.h"
#include "release/proposal.h"
#include "release/reconciler.h"

namespace seatrial::release {

struct Rehearsal {
    bool asks = false;      // for an approval first
    std::string details;    // JSON, as an approval shows it
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
    // A copy of the database comes back. Without `discard` it is refused if something was written
    // since, which is then told; with it, only after that was told.
    Result<Deploying> restore(const RestoreRequest& request) {
        return put_restore(request, nullptr);
    }
    Result<Deploying> restore_approved(const RestoreRequest& request,
                                       const approval::Decision& decision) {
        return put_restore(request, &decision);
    }
    Status reject(const approval::Decision& decision);
    // What the two would do, or why they would not; nothing is changed.
    Result<Rehearsal> rehearse_deploy(const DeployRequest& request);
    Result<Rehearsal> rehearse_rollback(const RollbackRequest& request);
    // False: nothing was held.
    Result<bool> lift_hold(const std::string& app, const std::string& env,
                           const std::string& actor);

private:
    Status check_ports(const DeployRequest& request);
    Result<Deploying> put_deploy(const DeployRequest& request, const approval::Decision* decision);
    Result<Deploying> put_rollback(const RollbackRequest& request,
                                   const approval::Decision* decision);
    Result<Deploying> put_restore(const RestoreRequest& request,
                                  const approval::Decision* decision);
    using Admit = std::function<Status(store::Writer&, Proposal&)>;
    Result<Rehearsal> rehearse(const approval::Rules& rules, Proposal now, const Admit& admit);
    Result<Deploying> propose(const approval::Rules& rules, const approval::Decision* decision,
                              const Proposal& proposal, const Admit& admit);

    store::Records& records_;
    Reconciler& reconciler_;
};

}    // namespace seatrial::release
