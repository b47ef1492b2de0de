#include "api/handlers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "api/body.h"
#include "api/releases.h"
#include "base/text.h"
#include "git/refs.h"
#include "preview/spec.h"
#include "preview/status.h"
#include "preview/view.h"
#include "release/artefacts.h"
#include "resource/run_spec.h"

namespace seatrial::api {
namespace {

using nlohmann::json;
constexpr std::chrono::seconds engine_patience{4};

const Shape up_shape = {{"issueKey", Kind::text},      {"branchName", Kind::text},
                        {"baseBranch", Kind::text},    {"env", Kind::text},
                        {"commit", Kind::text},        {"repository", Kind::text},
                        {"remote", Kind::text},        {"appFile", Kind::text},
                        {"appText", Kind::text},       {"appName", Kind::text},
                        {"variables", Kind::object},   {"ttlMs", Kind::number},
                        {"replace", Kind::flag},       {"freshDatabase", Kind::text},
                        {"freshTemplate", Kind::flag}, {"keepFailedMs", Kind::number},
                        {"baseCommit", Kind::text}};

// The body of POST /previews as the manager wants it.
Result<preview::UpRequest> up_request(const Services& services, const http::Request& request,
                                      const json& body) {
    preview::UpRequest up;
    up.actor = actor_of(request);
    up.key = body.value("issueKey", "");
    up.branch = body.value("branchName", "");
    up.base_branch = body.value("baseBranch", "");
    up.base_commit = body.value("baseCommit", "");
    up.env = body.value("env", "");
    up.commit = body.value("commit", "");
    up.repository = body.value("repository", "");
    up.remote = body.value("remote", "");
    up.app_file = body.value("appFile", up.app_file);
    up.app_text = body.value("appText", "");
    up.app_name = body.value("appName", "");
    up.embedded = services.info.embedded;
    // The daemon's variables count; what the caller has must not silently mean something else.
    const json own = json::parse(services.info.variables, nullptr, false);
    const json given = body.value("variables", json::object());
    for (const auto& [name, value] : given.items()) {
        if (!own.contains(name) || own[name] != value) {
            return fail(Code::invalid, printable(name) + " differs from the running daemon's",
                        "variables are read by the daemon: restart it with this one set, "
                        "or unset it");
        }
    }
    up.variables = own.get<config::Variables>();
    if (body.contains("ttlMs")) {
        up.ttl = std::chrono::milliseconds(body.at("ttlMs").get<std::int64_t>());
    }
    up.replace = body.value("replace", false);
    up.fresh_database = body.value("freshDatabase", "");
    up.fresh_template = body.value("freshTemplate", false);
    up.keep_failed = std::chrono::milliseconds(body.value("keepFailedMs", std::int64_t{0}));
    return up;
}

json wanted_json(const preview::Wanted& wanted) {
    return {{"life", wanted.life},
            {"generation", wanted.generation},
            {"after", wanted.after},
            {"update", wanted.update}};
}

}    // namespace

http::Response get_healthz(Services& /*services*/, const http::Request& /*request*/,
                           const Context& /*ctx*/) {
    return answer(200, {{"status", "ok"}});
}

http::Response get_readyz(Services& services, const http::Request& /*request*/,
                          const Context& /*ctx*/) {
    const json health = services.health();
    return answer(health.value("ready", false) ? 200 : 503, health);
}

http::Response get_metrics(Services& services, const http::Request& /*request*/,
                           const Context& /*ctx*/) {
    const auto lives = services.parts.records.lives({});
    if (!lives) {
        return http::problem(lives.error());
    }
    std::map<std::string, int> states;
    for (const auto& life : *lives) {
        ++states[life.state];
    }
    std::string text =
        "# HELP seatrial_previews previews by state\n# TYPE seatrial_previews gauge\n";
    for (const auto& [state, count] : states) {
        text += "seatrial_previews{state=\"" + state + "\"} " + std::to_string(count) + "\n";
    }
    text +=
        "# HELP seatrial_synced_commits_total fsynced commits of the records\n"
        "# TYPE seatrial_synced_commits_total counter\nseatrial_synced_commits_total " +
        std::to_string(services.parts.records.synced_commits()) + "\n";
    return {200, {{"content-type", "text/plain; version=0.0.4"}}, text};
}

namespace {

json builder_json(const config::Server& server, const Context& ctx) {
    const auto means = release::choose_means(server.docker_builder, {}, ctx);
    if (!means) {
        return {{"error", preview::error_json(means.error())}};
    }
    return {{"kind", means->kit ? "BuildKit" : "classic"},
            {"cli", means->kit ? means->kit->cli.string() : ""},
            {"remedy", means->remedy}};
}

// The engine as the daemon's user sees it; null where nothing here wants one.
json look_at_engine(Services& services, const Context& ctx) {
    const auto server = services.parts.config.get();
    bool previews = false;
    bool releases = false;
    for (const auto& [name, environment] : server->environments) {
        previews = previews || environment.provider == "docker";
        releases = releases || !environment.release.listen.empty();
    }
    const auto used = services.parts.records.meta(preview::used_key("docker"));
    if (!previews && !releases && !(used && *used)) {
        return nullptr;
    }
    const Context patience = ctx.with_timeout(engine_patience);
    json out = {{"socket", server->docker_socket}};
    const auto info = services.engine.info(patience);
    if (!info) {
        out["error"] = preview::error_json(info.error());
        return out;
    }
    out["version"] = info->version;
    out["api"] = info->api_version;
    out["warnings"] = info->warnings;
    if (releases && !info->live_restore) {
        out["warnings"].push_back(
            "what serves ends when the engine ends: put \"live-restore\": true into its "
            "daemon.json");
    }
    if (releases) {
        out["builder"] = builder_json(*server, patience);
    }
    if (previews) {
        const auto url = services.parts.servers.database_url(
            services.parts.layout.database_place, "any", "any", patience,
            resource::PostgresServers::From::container);
        if (!url) {
            out["database"] = preview::error_json(url.error());
        }
    }
    return out;
}

}    // namespace

http::Response get_server(Services& services, const http::Request& request, const Context& ctx) {
    const auto isolation = services.parts.runner.isolation();
    json out = {{"api", 1},
                {"version", services.info.version},
                {"instance", services.info.instance},
                {"pid", ::getpid()},
                {"uid", ::geteuid()},
                {"owner", services.info.owner},
                {"data", services.info.data.string()},
                {"config", services.info.config},
                {"started_at", render_time(services.info.started_at)},
                {"variables", json::parse(services.info.variables, nullptr, false)},
                {"synced_commits", services.parts.records.synced_commits()},
                {"privileged", services.parts.runner.privileged()},
                {"isolation",
                 {{"level", isolation.level},
                  {"cgroup", isolation.cgroup},
                  {"seccomp", isolation.seccomp},
                  {"landlock_abi", isolation.landlock_abi},
                  {"private_tmp", isolation.private_tmp},
                  {"own_uid", isolation.own_uid},
                  {"missing", isolation.missing}}},
                {"health", services.health()}};
    if (query(request, "engine") == "1") {
        out["engine"] = look_at_engine(services, ctx);
        out["environments"] =
            look_at_environments(*services.parts.config.get(), services.sources, ctx);
    }
    return answer(200, out);
}

http::Response list_previews(Services& services, const http::Request& request,
                             const Context& /*ctx*/) {
    store::LifeFilter filter;
    filter.app = query(request, "app");
    filter.env = query(request, "env");
    filter.removed = query(request, "removed") == "1";
    const auto lives = services.parts.records.lives(filter);
    if (!lives) {
        return http::problem(lives.error());
    }
    json out = json::array();
    for (const auto& life : *lives) {
        out.push_back(preview::render_preview(life));
    }
    return answer(200, {{"previews", out}});
}

http::Response post_preview(Services& services, const http::Request& request, const Context& ctx) {
    const auto body = parse_body(request, up_shape);
    if (!body) {
        return http::problem(body.error());
    }
    const auto up = up_request(services, request, *body);
    if (!up) {
        return http::problem(up.error());
    }
    const auto wanted = services.manager.up(*up, ctx);
    if (wanted) {
        return answer(202, wanted_json(*wanted));
    }
    if (wanted.error().mark != "commit") {
        return http::problem(wanted.error());
    }
    const std::string mirror = services.manager.mirror_name(up->repository, up->remote);
    const auto known = services.manager.known_commits(mirror, ctx);
    if (!known) {
        return http::problem(known.error());
    }
    return answer(409, {{"code", "commit_missing"},
                        {"title", "the commit has not been sent yet"},
                        {"mirror", mirror},
                        {"known", *known}});
}

http::Response post_cleanup(Services& services, const http::Request& request, const Context& ctx) {
    const auto body = parse_body(request, {{"dryRun", Kind::flag}, {"confirmed", Kind::flag}});
    if (!body) {
        return http::problem(body.error());
    }
    const bool dry_run = body->value("dryRun", false);
    constexpr int all = 1'000'000;
    const auto expired = services.manager.expire(now_utc(), all, dry_run, actor_of(request));
    if (!expired) {
        return http::problem(expired.error());
    }
    json report = {{"expired", json::array()}};
    for (const auto& life : *expired) {
        report["expired"].push_back(
            {{"app", life.app}, {"key", life.key}, {"env", life.env}, {"life", life.id}});
    }
    const bool confirmed = body->value("confirmed", false);
    if (const auto swept = services.sweep(dry_run, confirmed, report, ctx); !swept) {
        return http::problem(swept.error());
    }
    drop_images(services, dry_run, report, ctx);
    report["dry_run"] = dry_run;
    return answer(200, report);
}

http::Response get_preview(Services& services, const http::Request& request,
                           const Context& /*ctx*/) {
    const auto life = find(services, request, true);
    if (!life) {
        return http::problem(life.error());
    }
    auto detail = preview::render_detail(*life, services.parts);
    if (!detail) {
        return http::problem(detail.error());
    }
    const std::string problem = services.branch_problem(life->id);
    (*detail)["branch_problem"] = problem.empty() ? json() : json(problem);
    return answer(200, *detail);
}

http::Response delete_preview(Services& services, const http::Request& request,
                              const Context& /*ctx*/) {
    const auto life = find(services, request);
    if (!life) {
        return http::problem(life.error());
    }
    const auto wanted = services.manager.stop(*life, actor_of(request), "stop");
    return wanted ? answer(202, wanted_json(*wanted)) : http::problem(wanted.error());
}

http::Response post_extend(Services& services, const http::Request& request,
                           const Context& /*ctx*/) {
    const auto body = parse_body(request, {{"hours", Kind::number}});
    if (!body) {
        return http::problem(body.error());
    }
    constexpr double most = 24 * 365;
    const double hours = body->value("hours", 0.0);
    if (!(hours > 0) || hours > most) {
        return http::problem(400, "invalid", "hours must be more than 0 and at most 8760",
                             "write --hours 4");
    }
    const auto life = find(services, request);
    if (!life) {
        return http::problem(life.error());
    }
    const auto by = std::chrono::milliseconds(static_cast<std::int64_t>(hours * 3'600'000));
    const auto extended = services.manager.extend(*life, by, actor_of(request));
    return extended ? answer(200, preview::render_preview(*extended))
                    : http::problem(extended.error());
}

http::Response post_pin(Services& services, const http::Request& request, const Context& /*ctx*/) {
    const auto body = parse_body(request, {{"pinned", Kind::flag}});
    if (!body) {
        return http::problem(body.error());
    }
    const auto life = find(services, request);
    if (!life) {
        return http::problem(life.error());
    }
    const auto pinned = services.manager.pin(*life, body->value("pinned", true), actor_of(request));
    return pinned ? answer(200, preview::render_preview(*pinned)) : http::problem(pinned.error());
}

http::Response get_explain(Services& services, const http::Request& request,
                           const Context& /*ctx*/) {
    const auto life = find(services, request, true);
    if (!life) {
        return http::problem(life.error());
    }
    const auto lines = preview::explain(*life, services.parts);
    return lines ? answer(200, {{"state", life->state}, {"lines", *lines}})
                 : http::problem(lines.error());
}

}    // namespace seatrial::api
