#include "api/api.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "base/text.h"

namespace seatrial::api {
namespace {

// Approvers are other users than the owner: these handlers look who asks.
bool is_for_everybody(const http::Request& request) {
    constexpr std::string_view root = "/api/v1/approvals";
    return request.peer.local && request.path.starts_with(root) &&
           (request.path.size() == root.size() || request.path[root.size()] == '/');
}

}    // namespace

// NOLINTNEXTLINE(readability-function-size): a table, one row an endpoint
const std::vector<Endpoint>& endpoints() {
    using http::RouteKind;
    constexpr std::size_t bundle_limit = std::size_t{2} << 30;
    static const std::vector<Endpoint> table = {
        {"GET",
         "/healthz",
         "the process answers",
         true,
         RouteKind::normal,
         1 << 20,
         get_healthz,
         {}},
        {"GET",
         "/readyz",
         "records checked, previews re-adopted",
         true,
         RouteKind::normal,
         1 << 20,
         get_readyz,
         {}},
        {"GET",
         "/metrics",
         "figures for Prometheus",
         true,
         RouteKind::normal,
         1 << 20,
         get_metrics,
         {}},
        {"GET",
         "/api/v1/server",
         "version, instance and state of the daemon; ?engine=1: of the Docker engine too",
         false,
         RouteKind::normal,
         1 << 20,
         get_server,
         {}},
        {"GET",
         "/api/v1/previews",
         "all previews; ?app, ?env, ?removed=1",
         false,
         RouteKind::normal,
         1 << 20,
         list_previews,
         {}},
        {"POST",
         "/api/v1/previews",
         "start or update one",
         false,
         RouteKind::normal,
         4 << 20,
         post_preview,
         {}},
        {"POST",
         "/api/v1/previews/cleanup",
         "end what is past its time and collect what is left",
         false,
         RouteKind::normal,
         1 << 20,
         post_cleanup,
         {}},
        {"GET",
         "/api/v1/previews/{key}",
         "one preview with steps and components",
         false,
         RouteKind::normal,
         1 << 20,
         get_preview,
         {}},
        {"DELETE",
         "/api/v1/previews/{key}",
         "stop and remove it",
         false,
         RouteKind::normal,
         1 << 20,
         delete_preview,
         {}},
        {"POST",
         "/api/v1/previews/{key}/extend",
         "let it live longer: {\"hours\": 4}",
         false,
         RouteKind::normal,
         1 << 20,
         post_extend,
         {}},
        {"POST",
         "/api/v1/previews/{key}/pin",
         "keep or release it: {\"pinned\": true}",
         false,
         RouteKind::normal,
         1 << 20,
         post_pin,
         {}},
        {"GET",
         "/api/v1/previews/{key}/explain",
         "why it is as it is",
         false,
         RouteKind::normal,
         1 << 20,
         get_explain,
         {}},
        {"GET",
         "/api/v1/previews/{key}/logs",
         "last part of the logs; ?component, ?bytes",
         false,
         RouteKind::normal,
         1 << 20,
         get_logs,
         {}},
        {"GET",
         "/api/v1/previews/{key}/logs/stream",
         "logs as they grow",
         false,
         RouteKind::stream,
         1 << 20,
         {},
         stream_logs},
        {"POST",
         "/api/v1/releases",
         "build a commit once; `build`: an id (ULID) of one's own, to follow it by",
         false,
         RouteKind::normal,
         4 << 20,
         post_release,
         {}},
        {"GET",
         "/api/v1/releases",
         "releases of ?app, newest first",
         false,
         RouteKind::normal,
         1 << 20,
         list_releases,
         {}},
        {"GET",
         "/api/v1/builds/{build}/log",
         "what a build said, also one that failed",
         false,
         RouteKind::normal,
         1 << 20,
         get_build_log,
         {}},
        {"GET",
         "/api/v1/builds/{build}/stream",
         "the same as it comes, as events: line {component, text}, end; ?after its number",
         false,
         RouteKind::stream,
         1 << 20,
         {},
         stream_build},
        {"POST",
         "/api/v1/deployments",
         "deploy a release, or promote what serves elsewhere",
         false,
         RouteKind::normal,
         1 << 20,
         post_deployment,
         {}},
        {"POST",
         "/api/v1/deployments/rollback",
         "back to the release before",
         false,
         RouteKind::normal,
         1 << 20,
         post_rollback,
         {}},
        {"POST",
         "/api/v1/deployments/resume",
         "let automation deploy again after a rollback by hand",
         false,
         RouteKind::normal,
         1 << 20,
         post_resume,
         {}},
        {"POST",
         "/api/v1/snapshots/restore",
         "put a copy of the database back; `discard`: what was written since, once that was told",
         false,
         RouteKind::normal,
         1 << 20,
         post_restore,
         {}},
        {"GET",
         "/api/v1/snapshots",
         "copies of the database of ?app in ?env, oldest first",
         false,
         RouteKind::normal,
         1 << 20,
         list_snapshots,
         {}},
        {"GET",
         "/api/v1/deployments",
         "what serves where; ?app, ?env",
         false,
         RouteKind::normal,
         1 << 20,
         list_deployments,
         {}},
        {"GET",
         "/api/v1/deployments/history",
         "events of ?app in ?env",
         false,
         RouteKind::normal,
         1 << 20,
         get_history,
         {}},
        {"POST",
         "/api/v1/environments/check",
         "an app's env schema against what environments get; `env`: one of them",
         false,
         RouteKind::normal,
         4 << 20,
         post_check,
         {}},
        {"POST",
         "/api/v1/environments/sync",
         "write what sources have into their files: {\"env\", \"dryRun\", \"adopt\"}",
         false,
         RouteKind::normal,
         1 << 16,
         post_sync,
         {}},
        {"GET",
         "/api/v1/environments/differences",
         "variables that differ between ?from and ?to",
         false,
         RouteKind::normal,
         1 << 16,
         get_differences,
         {}},
        {"GET",
         "/api/v1/approvals",
         "requests that wait for a person, newest first; ?app, ?env, ?all=1 for decided ones",
         false,
         RouteKind::normal,
         1 << 16,
         list_approvals,
         {}},
        {"GET",
         "/api/v1/approvals/{id}",
         "one request",
         false,
         RouteKind::normal,
         1 << 16,
         get_approval,
         {}},
        {"POST",
         "/api/v1/approvals/{id}/approve",
         "say yes: {\"reason\": \"...\"}; what was asked for starts",
         false,
         RouteKind::normal,
         1 << 16,
         post_approve,
         {}},
        {"POST",
         "/api/v1/approvals/{id}/reject",
         "say no: {\"reason\": \"...\"}",
         false,
         RouteKind::normal,
         1 << 16,
         post_reject,
         {}},
        {"GET",
         "/api/v1/incidents",
         "releases that failed or were taken back; ?app, ?env",
         false,
         RouteKind::normal,
         1 << 20,
         list_incidents,
         {}},
        {"POST",
         "/api/v1/repositories",
         "which commits of a repository are known",
         false,
         RouteKind::normal,
         1 << 20,
         post_repository,
         {}},
        {"PUT",
         "/api/v1/repositories/{mirror}/bundle",
         "a git bundle; ?commit",
         false,
         RouteKind::upload,
         bundle_limit,
         put_bundle,
         {}},
        {"GET",
         "/api/v1/events",
         "events as they happen; ?life, ?after or Last-Event-ID",
         false,
         RouteKind::stream,
         1 << 20,
         {},
         stream_events},
        {"POST",
         "/api/v1/backup",
         "copy of the records below <data>/backups",
         false,
         RouteKind::normal,
         1 << 20,
         post_backup,
         {}},
    };
    return table;
}

bool is_owner(const ServerInfo& info, const http::Peer& peer) {
    return peer.local && (peer.uid == 0 || peer.uid == info.owner || peer.uid == ::geteuid());
}

http::Router make_router(const std::shared_ptr<Services>& services, bool public_only) {
    std::vector<http::Route> routes;
    for (const Endpoint& endpoint : endpoints()) {
        if (public_only && !endpoint.public_read) {
            continue;
        }
        http::Route route;
        route.method = endpoint.method;
        route.pattern = endpoint.pattern;
        route.kind = endpoint.kind;
        route.body_limit = endpoint.body_limit;
        if (endpoint.handler) {
            route.handler = [services, &endpoint](const http::Request& request,
                                                  const Context& ctx) {
                return endpoint.handler(*services, request, ctx);
            };
        }
        if (endpoint.stream) {
            route.stream = [services, &endpoint](const http::Request& request,
                                                 const std::shared_ptr<http::EventStream>& stream,
                                                 const Context& ctx) {
                return endpoint.stream(*services, request, stream, ctx);
            };
        }
        routes.push_back(std::move(route));
    }
    http::Router router(std::move(routes));
    if (!public_only) {
        router.set_guard([services](const http::Request& request) -> std::optional<http::Response> {
            if (is_for_everybody(request) || is_owner(services->info, request.peer)) {
                return std::nullopt;
            }
            return http::problem(
                403, "refused",
                "this daemon serves user " + std::to_string(services->info.owner) + " only",
                "start one of your own with another --data, or ask its owner");
        });
    }
    return router;
}

std::string reference_page() {
    std::string page =
        "# API\n\nServed on the daemon's UNIX socket `<data>/seatrial.sock` to root and the user "
        "who "
        "started it; `/api/v1/approvals` to approvers, too; rows marked public also on the TCP "
        "port of `seatrial serve --port`. Errors "
        "are "
        "RFC 9457 problem documents with `code` and `hint`.\n\n"
        "| method | path | public | what it does |\n|---|---|---|---|\n";
    for (const Endpoint& endpoint : endpoints()) {
        page += "| " + endpoint.method + " | `" + endpoint.pattern + "` | " +
                (endpoint.public_read ? "yes" : "") + " | " + endpoint.summary + " |\n";
    }
    return page;
}

}    // namespace seatrial::api
