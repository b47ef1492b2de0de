// How a release gets from built to serving on one host, as a pure function: what stands and what
// is known → the next thing to do. The reconciler does it, records what came of it and asks again;
// after kill -9 at any point it simply asks again.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "release/gate.h"

namespace seatrial::release {

// Share of users on the new release, for how long, before the next step.
struct Step {
    int per_mille = 0;
    std::chrono::milliseconds hold{0};
};

// Frozen when the release was wanted.
struct Policy {
    std::vector<Step> canary;    // empty: all users at once (blue/green; rolling on one host)
    std::chrono::milliseconds drain{60'000};
    std::chrono::milliseconds watch{300'000};     // gates after the switch
    std::chrono::milliseconds hold{900'000};      // an inconclusive or breached gate waits so long
    std::chrono::milliseconds warm{3'600'000};    // the previous release stays for rollback
    std::vector<Gate> gates;
};

// One slot of the edge and the release in it.
enum class Phase {
    empty,
    starting,    // its containers are being made
    ready,       // healthy, not checked yet
    checked,     // smoke checks passed through the edge, unseen by users
    serving,     // users reach it (all of them: the stable slot; or a share)
    draining,    // was serving; open requests may end
    warm,        // nobody is on it; kept for rollback
    failed,      // to be removed
};
std::string_view to_string(Phase phase);
struct Slot {
    std::string release;
    Phase phase = Phase::empty;
    WallTime since{};
    bool rejected = false;                   // a gate failed: it goes once nobody is on it
    int deaths = 0;                          // while on trial
    std::optional<WallTime> resting = {};    // since then its workers take no more jobs
    bool asked = false;                      // all of them were asked to end after theirs
};

// Queues are paused while a release starts: no job runs across its migration.
struct Drain {
    std::string release;    // whose start it is for; paused for anything else, they are resumed
    WallTime since{};
    bool over = false;                     // nothing runs, or it is not waited for any longer
    std::optional<WallTime> retry = {};    // resuming failed: not before
};

// All that is kept of a deployment between two looks.
struct State {
    std::string wanted;                   // release id
    std::map<std::string, Slot> slots;    // a, b, c
    std::string stable;                   // the slot that users reach; "" before the first
    int step = -1;                        // of the canary, while it goes on
    WallTime step_since{};
    std::optional<WallTime> switched_at;    // of the wanted release; until its gates are through
    bool proving = false;                   // just switched: its checks are to pass once more
    bool stopped = false;                   // a gate said stop or hold ran out: people decide
    std::optional<Drain> drain = {};        // from before the first queue is paused until all go on
    std::optional<WallTime> reset = {};     // users have moved: drop from the cache, not before
    int resets = 0;                         // that failed
};

// What the reconciler found out.
struct Seen {
    WallTime now{};
    int open = 0;                          // requests on the draining slot, old workers included
    std::optional<Finding> finding;        // the deciding one of the gates now; absent: no gates
    std::optional<Finding> before = {};    // of those that can tell before users are on it
    std::map<std::string, int> workers = {};    // of slots that have any: how many run
    bool queues = false;                        // the stable release has some to pause
};

enum class Do {
    nothing,      // done, or waiting for `until`
    drain,        // pause the queues and wait for what runs
    resume,       // let them go on
    reset,        // drop from the cache what the release says
    start,        // make the release's containers in `slot` until healthy
    check,        // smoke checks of `slot` through the probe
    share,        // give `slot` `per_mille` of the users
    promote,      // make `slot` stable: the switch
    prove,        // the checks of `slot` once more, as users get it
    rest,         // ask the workers of `slot` to end after their job
    end,          // end those of its workers that still run
    rouse,        // start them again: users come back to `slot`
    close,        // end what is still open on `slot`
    keep_warm,    // nobody is on `slot` any more
    retire,       // remove `slot` and its containers
    finish,       // gates are through: the release is good
    revert,       // `slot` is rejected: want the previous release again, because of `why`
    stop,         // leave all as it is, because of `why`
};
std::string_view to_string(Do action);
struct Action {
    Do what = Do::nothing;
    std::string slot, why;
    int per_mille = 0, step = -1;     // of share
    std::optional<WallTime> until;    // of nothing: look again then
};

Action decide(const Policy& policy, const State& state, const Seen& seen);
// The slot that holds this release in a phase that can serve, "" when none does.
std::string slot_of(const State& state, const std::string& release);

}    // namespace seatrial::release
