// What is deployed of an app in an environment: the wanted part (the life's spec) and what stands
// (the life's status), both versioned JSON in the records.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/release_check.h"
#include "edge/wanted.h"
#include "release/content.h"
#include "release/migrated.h"
#include "release/rollout.h"
#include "release/snapshot.h"

namespace seatrial::release {

inline constexpr int deployment_version = 1;
inline constexpr const char* deployment_kind = "deployment";

// The environment's part, the same for all releases.
struct Settings {
    std::vector<edge::Listen> listens;
    std::vector<config::ReleaseCheck> checks;    // before the switch by the probe, and after it
    int slow_ms = 500;
    Policy policy;
};

struct Spec {
    std::string app, env;
    Content wanted;
    Content previous;    // the good one before it; release "" = none
    Settings settings;
    std::string actor, reason;
    std::vector<std::string> shares;    // environments with the same database
    // By a rollback by hand: automation may not deploy until somebody lifts it.
    bool held = false;
    std::optional<WallTime> held_at;
    std::string held_by, held_reason;
};

struct Instance {
    std::string container;    // name in the engine, chosen before it is made
    edge::Server server;      // port 0 until it runs, and of workers
    bool told = false;        // a worker that was asked to end: that it ends is right
};

using Instances = std::map<std::string, std::vector<Instance>>;    // by component
// While queues are paused, and until all of them go on.
struct Paused {
    std::string slot;    // in whose containers
    WallTime since{};
    std::vector<config::ReleaseQueue> queues;
    std::map<std::string, std::map<std::string, std::vector<std::string>>> takers;    // by queue
    std::map<std::string, int> ran, left;    // by queue; left -1: it cannot be told
};

struct Due {    // an event, to be told once users are where the records say
    std::string kind, data;
};

struct Standing {
    State state;
    std::optional<Due> due;    // the edge may be behind the records; until it is not
    std::map<std::string, Content> contents;       // slot →
    std::map<std::string, Instances> instances;    // slot →
    std::map<std::string, std::string> probes;     // slot → value; worthless without the edge
    // Of the last rollout, for the receipt.
    std::optional<WallTime> began_at;
    std::int64_t failed_before = 0;    // failed requests of the old and new slot at its start
    std::string failure;               // why the wanted release does not serve; "" = it does
    std::map<std::string, Migrated> migrations;    // by release; those that ran, or run
    std::vector<Snapshot> snapshots;               // oldest first
    std::optional<Restoring> restoring;            // comes before all else
    std::optional<Losing> losing;                  // the last restore was refused for it
    std::optional<Paused> paused;                  // with state.drain
    std::string queue_report;                      // JSON, of the last pause; for the receipt
};

// The slot is in that phase from now on.
void enter(Standing& standing, const std::string& slot, Phase phase);

std::string render_spec(const Spec& spec);
Result<Spec> parse_spec(const std::string& json);
std::string render_standing(const Standing& standing);
Result<Standing> parse_standing(const std::string& json);    // "": a fresh one

// The site of the edge for this deployment: what users reach follows from the state alone.
edge::Site make_site(const std::string& app, const std::string& env, const Settings& settings,
                     const Standing& standing);
std::string site_name(const std::string& app, const std::string& env);

}    // namespace seatrial::release
