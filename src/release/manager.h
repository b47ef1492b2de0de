// What people and machines propose about releases becomes wanted here, and nowhere else; the
// reconciler does it.
#pragma once

#include <string>

#include "release/deployment.h"
#include "release/reconciler.h"

namespace seatrial::release {

struct DeployRequest {
    std::string app, env;
    Content content;
    Settings settings;
    std::string actor, reason;
    bool manual = true;    // false: automation, which a hold refuses
};

struct Deploying {
    std::string life;
    std::int64_t generation = 0;
    std::int64_t after = 0;    // events up to this one belong to earlier requests
};

// Thread: any. Errors: `invalid`, `refused` (hold, rejected release), `not_found`.
class Manager {
public:
    Manager(store::Records& records, Reconciler& reconciler)
        : records_(records), reconciler_(reconciler) {}

    // A newer request replaces one under way: the newest is wanted, the others are skipped.
    Result<Deploying> deploy(const DeployRequest& request);
    // To the release before, or to the one named by id or tag if a slot still holds it. Holds
    // automation until lifted.
    Result<Deploying> roll_back(const std::string& app, const std::string& env,
                                const std::string& to, const std::string& actor,
                                const std::string& reason);
    // False: nothing was held.
    Result<bool> lift_hold(const std::string& app, const std::string& env,
                           const std::string& actor);

private:
    Result<Deploying> want(store::Writer& writer, store::Life& life, Spec& spec, Standing& standing,
                           const Content& content);

    store::Records& records_;
    Reconciler& reconciler_;
};

}    // namespace seatrial::release
