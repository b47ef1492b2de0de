// What is deployed of an app in an environment: the wanted part (the life's spec) and what stands
// (the life's status), both versioned JSON in the records.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "edge/wanted.h"
#include "release/rollout.h"

namespace seatrial::release {

inline constexpr int deployment_version = 1;
inline constexpr const char* deployment_kind = "deployment";
// Inside a container; each has an address of its own, so all may have the same.
inline constexpr int container_port = 8080;

// A part of a release as it runs: an image by id, never by a tag.
struct Component {
    std::string name;
    std::string image;
    std::vector<std::string> argv;    // empty: the image's own
    std::string path = "/";           // what of the URL it answers for
    std::string health;               // GET; "" = the port answers
    std::chrono::milliseconds health_timeout{60'000};
    std::map<std::string, std::string> env;
    int instances = 1;
    std::int64_t memory_bytes = 0;
    int cpu_percent = 0;
    int pids = 0;
};

// How a release changes the database, once per environment, before its containers start.
struct Migration {
    std::vector<std::string> argv;    // empty: none
    std::string component;            // whose image and variables
    std::chrono::milliseconds timeout{60'000};
    bool contract = false;             // the releases before cannot run behind it
    std::vector<std::string> notes;    // for people: what is slow, or cannot be told
};

// All that a slot needs to be made again, frozen when the release was wanted there.
struct Content {
    std::string release;
    std::string tag;    // for people: "1.4.0-3f2a9c1"
    std::vector<Component> components;
    std::vector<std::string> env_files;    // read when a container is made; secrets stay there
    Migration migration;
};

// The environment's part, the same for all releases.
struct Settings {
    std::vector<edge::Listen> listens;
    std::vector<std::string> checks;    // paths asked through the probe before the switch
    int slow_ms = 500;
    Policy policy;
};

struct Spec {
    std::string app, env;
    Content wanted;
    Content previous;    // the good one before it; release "" = none
    Settings settings;
    std::string actor, reason;
    // By a rollback by hand: automation may not deploy until somebody lifts it.
    bool held = false;
    std::optional<WallTime> held_at;
    std::string held_by, held_reason;
};

struct Instance {
    std::string container;    // name in the engine, chosen before it is made
    edge::Server server;      // port 0 until it runs
};

using Instances = std::map<std::string, std::vector<Instance>>;    // by component
// Written down before each step and after it: no migration runs twice, whoever dies.
struct Migrated {
    enum class State { named, made, done } state = State::named;
    std::string container;
    WallTime at{};            // began; when done, ended
    bool contract = false;    // as in Migration
    std::string tag;
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
