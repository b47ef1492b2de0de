// What a machine allows: the server's file as plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/release_place.h"

namespace seatrial::config {

struct Limits {
    std::int64_t memory_bytes = 0;    // per component; 0 = none
    int cpu_percent = 0;
    int pids = 512;
    bool operator==(const Limits&) const = default;
};

struct Environment {
    std::string name;
    std::string provider = "local";
    std::chrono::milliseconds ttl{24 * 3'600'000};
    std::chrono::milliseconds warn_before{3'600'000};
    int max = 5;
    std::string min_isolation = "basic";    // basic | standard | strong
    Limits limits;
    std::vector<std::string> branches;    // globs allowed; empty = any
    bool approval = false;                // a person must say yes first
    bool approval_off = false;            // said in so many words
    std::vector<std::string> approvers;
    bool approval_self = true;         // also who asked
    bool approval_rollback = false;    // for rollbacks, too
    std::chrono::milliseconds approval_expires{4 * 3'600'000};
    std::string on_reboot = "restart";         // restart | remove
    std::string cluster, role;                 // k8s, later
    std::map<std::string, std::string> env;    // added to every component
    ReleasePlace release;
    // Written in the server's file: variables may then tighten, never loosen.
    bool ttl_set = false, max_set = false, provider_set = false;
    bool operator==(const Environment&) const = default;
};

struct Registry {
    std::string user, password_file;
    bool operator==(const Registry&) const = default;
};

struct Server {
    std::map<std::string, Environment> environments;    // int always exists
    std::string default_environment = "int";
    bool enabled = true;               // PREVIEW_ENABLED
    std::string host = "localhost";    // in URLs
    int port_base = 5100;              // first component; the next ones +100 each
    int port_stride = 100;
    int port_slots = 200;         // how many slots are tried
    std::string worktree_path;    // "" = <data>/previews
    std::string docker_socket = "/var/run/docker.sock";
    std::string docker_builder = "auto";                  // auto | buildkit | classic
    std::int64_t docker_cache_bytes = 10LL << 30;         // 0 = whatever it takes
    std::map<std::string, Registry> docker_registries;    // by host[:port]
    int docker_keep = 2;                                  // releases of an app whose images stay
    std::int64_t docker_min_free_bytes = 20LL << 30;      // nothing is built below it
    std::string postgres_url;              // admin; may hold a password: never printed
    std::vector<std::string> env_files;    // secrets for previews, server side
    std::chrono::milliseconds log_keep{7LL * 24 * 3'600'000};
    std::int64_t log_bytes = 16 << 20;    // per component
    std::chrono::milliseconds event_keep{30LL * 24 * 3'600'000};
    std::chrono::milliseconds salvage_keep{30LL * 24 * 3'600'000};
    std::int64_t min_free_bytes = 512LL << 20;    // new previews are refused below it
    int workers = 16;                             // plan nodes at work at once
    bool operator==(const Server&) const = default;
};

}    // namespace seatrial::config
