// The REST API: one table of routes (method, path, who may, what for) that routing and the
// reference page come from. Handlers translate; all work is the manager's.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "api/build_logs.h"
#include "api/event_hub.h"
#include "api/log_follower.h"
#include "http/router.h"
#include "preview/manager.h"
#include "release/manager.h"
#include "secrets/source.h"

namespace seatrial::api {

struct ServerInfo {
    std::string version;
    std::string instance;
    std::filesystem::path data;
    std::string config;    // file it came from; "" = built-in
    WallTime started_at{};
    uid_t owner = 0;          // who started it; with root and ourselves, who may use it
    std::string variables;    // JSON of the PREVIEW_* this daemon runs with
    bool embedded = true;     // no server file: an app file may hold both parts
};

struct Services {
    preview::Manager& manager;
    release::Manager& releases;
    docker::Engine& engine;
    preview::Parts parts;
    EventHub& events;
    LogFollower& logs;
    BuildLogs& builds;
    secrets::Sources sources;
    ServerInfo info{};
    std::function<Status(bool dry_run, bool confirmed, nlohmann::json& report, const Context& ctx)>
        sweep{};
    std::function<nlohmann::json()> health{};    // readiness: integrity check, adoption, collector
    // Why a life's branch cannot be asked for (preview/branches.h); "" when it can.
    std::function<std::string(const std::string& life)> branch_problem{};
};

struct Endpoint {
    std::string method, pattern, summary;
    bool public_read = false;    // also on the TCP port: health and metrics only
    http::RouteKind kind = http::RouteKind::normal;
    std::size_t body_limit = 1 << 20;
    std::function<http::Response(Services&, const http::Request&, const Context&)> handler;
    std::function<http::Response(Services&, const http::Request&,
                                 const std::shared_ptr<http::EventStream>&, const Context&)>
        stream;
};
const std::vector<Endpoint>& endpoints();

// Root, who started the daemon, or the daemon itself.
bool is_owner(const ServerInfo& info, const http::Peer& peer);

// Router over all endpoints (UNIX socket; peers other than owners get 403, but for those of
// approvals, whose handlers look who asks) or
// over the public ones only (TCP).
http::Router make_router(const std::shared_ptr<Services>& services, bool public_only);

// docs/reference/api.md from the table.
std::string reference_page();

}    // namespace seatrial::api
