// What a slot of a deployment runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/release_queue.h"
#include "config/release_snapshot.h"
#include "config/secret_source.h"
#include "config/version_range.h"
#include "resource/static_site.h"

namespace seatrial::release {

using resource::container_port_of;
using resource::default_container_port;

// A folder of a container that outlives it.
struct Volume {
    std::string name;      // in the app's file
    std::string source;    // a folder of the server, a volume of the engine; "" = one of ours
    std::string target;    // in the container
    bool read_only = false;
};

// A part of a release as it runs: an image by id, never by a tag.
struct Component {
    std::string name;
    std::string image;
    std::string version;              // "" = as the release's tag
    std::vector<std::string> argv;    // empty: the image's own
    int port = default_container_port;
    std::string path = "/";    // what of the URL it answers for
    std::string health;        // GET; "" = the port answers
    std::chrono::milliseconds health_timeout{60'000};
    std::map<std::string, std::string> defaults;     // what all others win over
    std::map<std::string, std::string> templates;    // expanded when a container is made
    std::map<std::string, std::string> env;          // wins over env files
    std::vector<Volume> volumes;
    int instances = 1;
    bool worker = false;    // without a port: no user is ever sent to it
    std::int64_t memory_bytes = 0;
    int cpu_percent = 0;
    int pids = 0;
};

// How a release changes the database, once per environment, before its containers start.
struct Migration {
    std::vector<std::string> argv;                      // empty: none
    std::vector<std::string> down;                      // after one that failed; empty: none
    std::optional<config::ReleaseSnapshot> snapshot;    // before it
    std::string component;                              // whose image and variables
    std::chrono::milliseconds timeout{60'000};
    bool contract = false;             // the releases before cannot run behind it
    bool unseen = false;               // no SQL told what it does to the release that serves
    std::vector<std::string> notes;    // for people: what is slow, or cannot be told
};

// Of the server, for every container; each slot has a copy of its own.
struct KeyFile {
    std::string name;
    std::string file;
    std::string target;    // in the container
};

// Everything that a slot needs to be made again, frozen when the release was wanted there.
struct Content {
    std::string release;
    std::string tag;    // for people: "1.4.0-3f2a9c1"
    std::vector<Component> components;
    std::vector<std::string> env_files;    // read when a container is made; secrets stay there
    std::vector<config::SecretSource> secrets;    // asked when a container is made
    std::vector<KeyFile> key_files;
    std::vector<std::string> networks;    // of others, that every container joins
    Migration migration;
    std::vector<config::ReleaseQueue> queues;    // paused while the release after it starts
    config::ReleaseCache cache;
    config::Compatibility compatibility;
};

bool has_workers(const Content& content);

nlohmann::json to_json(const Content& content);
Content content_of(const nlohmann::json& in);    // throws as nlohmann does

}    // namespace seatrial::release
