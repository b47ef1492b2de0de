// Deployments: deploy, promote, roll back, and what came of it.
#include <map>
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/handlers.h"
#include "api/releases.h"
#include "base/text.h"
#include "release/compare.h"
#include "release/settings.h"
#include "release/variables.h"

namespace seatrial::api {
namespace {

using nlohmann::json;

constexpr int most_rows = 200;

// By id or tag.
Result<release::Release> find_release(Services& services, const std::string& app,
                                      const std::string& wanted) {
    TRY_ASSIGN(const auto rows, services.parts.records.releases(app, most_rows));
    for (const auto& row : rows) {
        TRY_ASSIGN(auto found, release::release_of(row));
        if (found.id == wanted || found.tag == wanted) {
            return found;
        }
    }
    return fail(Code::not_found,
                "there is no release '" + printable(wanted) + "' of " + printable(app),
                "`seatrial releases` lists them");
}

Result<std::string> serving_in(Services& services, const std::string& app, const std::string& env) {
    store::LifeFilter filter;
    filter.kind = release::deployment_kind;
    filter.app = app;
    filter.env = env;
    TRY_ASSIGN(const auto lives, services.parts.records.lives(filter));
    for (const auto& life : lives) {
        TRY_ASSIGN(const auto standing, release::parse_standing(life.status));
        const auto slot = standing.state.slots.find(standing.state.stable);
        if (slot != standing.state.slots.end() && slot->second.phase == release::Phase::serving) {
            if (standing.state.wanted != slot->second.release) {
                return fail(Code::conflict, "a deploy is under way in " + printable(env),
                            "wait for it: `seatrial history " + printable(env) + "`");
            }
            return slot->second.release;
        }
    }
    return fail(Code::not_found, "nothing of " + printable(app) + " serves in " + printable(env),
                "deploy there first: `seatrial deploy " + printable(env) + "`");
}

// A promotion proves that both places are the same.
Status compare(const config::Server& server, const config::Environment& environment,
               const Wanted& wanted, release::Reader& reader, release::DeployRequest& out) {
    const auto from = server.environments.find(wanted.from);
    if (from == server.environments.end()) {
        return {};
    }
    out.from = wanted.from;
    TRY_ASSIGN(out.differences, release::differences(from->second, environment, reader));
    if (out.differences.empty() || wanted.allow_differences) {
        return {};
    }
    return fail(Code::refused,
                environment.name + " is not as " + wanted.from + ", where it was tried:\n" +
                    join(out.differences, "\n"),
                "make them equal, declare them in environments." + environment.name +
                    ".release.may_differ, or promote with --allow-differences");
}

// One database for both: what changes it here changes it there, so the stricter rules count.
Status add_shared(const Services& services, const config::Server& server,
                  const config::Environment& environment, release::Reader& reader,
                  release::DeployRequest& out) {
    TRY_ASSIGN(const auto all, release::shared_databases(server, environment, reader));
    for (const auto& shared : all) {
        if (shared.variable.empty() && out.content.migration.argv.empty()) {
            continue;    // it is told
        }
        if (shared.variable.empty()) {
            return fail(Code::unavailable,
                        "whether " + shared.env +
                            " has the same database, and a say about this migration, cannot be "
                            "told: " +
                            shared.why,
                        "try again when it can");
        }
        out.shares.push_back(shared.env);
        const auto rules =
            approval_rules(services, server.environments.at(shared.env), approval::deploy_action);
        if (!out.content.migration.argv.empty() && rules.required && !out.rules.required) {
            out.rules = rules;
            out.rules_of = shared.env;
        }
    }
    return {};
}

json slot_json(const std::string& name, const release::Slot& slot,
               const release::Standing& standing) {
    json out = {{"slot", name},
                {"release", slot.release},
                {"phase", release::to_string(slot.phase)},
                {"since", render_time(slot.since)}};
    const auto content = standing.contents.find(name);
    if (content != standing.contents.end()) {
        out["tag"] = content->second.tag;
    }
    const auto parts = standing.instances.find(name);
    if (parts != standing.instances.end()) {
        for (const auto& [component, list] : parts->second) {
            for (const auto& one : list) {
                out["containers"][component].push_back(one.container);
            }
        }
    }
    return out;
}

Result<json> deployment_json(const store::Life& life) {
    TRY_ASSIGN(const auto spec, release::parse_spec(life.spec));
    TRY_ASSIGN(const auto standing, release::parse_standing(life.status));
    json slots = json::array();
    for (const auto& [name, slot] : standing.state.slots) {
        slots.push_back(slot_json(name, slot, standing));
    }
    json listens = json::array();
    for (const auto& listen : spec.settings.listens) {
        listens.push_back((listen.address.empty() ? "*" : listen.address) + ":" +
                          std::to_string(listen.port));
    }
    const auto serving = standing.contents.find(standing.state.stable);
    json out = {
        {"app", life.app},
        {"env", life.env},
        {"life", life.id},
        {"generation", life.generation},
        {"wanted", spec.wanted.tag},
        {"serving", serving == standing.contents.end() ? json() : json(serving->second.tag)},
        {"settled", life.done_generation >= life.generation},
        {"stopped", standing.state.stopped},
        {"held", spec.held},
        {"listen", listens},
        {"slots", slots}};
    if (spec.held) {
        out["held_by"] = spec.held_by;
        out["held_since"] = spec.held_at ? json(render_time(*spec.held_at)) : json();
        out["held_reason"] = spec.held_reason;
    }
    if (!spec.previous.release.empty()) {
        out["previous"] = spec.previous.tag;
    }
    if (!standing.failure.empty()) {
        out["failure"] = standing.failure;
    }
    return out;
}

struct EventSource {
    std::string life, app, env;
};

// Events of all of them in the order in which they happened.
Result<json> history_of(Services& services, const std::vector<EventSource>& sources) {
    constexpr int most_events = 2000;
    std::map<std::int64_t, json> rows;
    for (const auto& source : sources) {
        TRY_ASSIGN(const auto events, services.parts.records.events(0, source.life, most_events));
        for (const auto& event : events) {
            rows[event.seq] = {{"at", render_time(event.at)},
                               {"app", source.app},
                               {"env", source.env},
                               {"generation", event.generation},
                               {"actor", event.actor},
                               {"kind", event.kind},
                               {"data", json::parse(event.data, nullptr, false)}};
        }
    }
    json out = json::array();
    for (auto& [seq, row] : rows) {
        out.push_back(std::move(row));
    }
    return out;
}

// What would be done, as an approval shows it.
http::Response rehearsed(const Result<release::Rehearsal>& in) {
    if (!in) {
        return http::problem(in.error());
    }
    json out = json::parse(in->details, nullptr, false);
    out["needs_approval"] = in->asks;
    return answer(200, out);
}

}    // namespace

Result<std::vector<store::Life>> deployments(Services& services, const http::Request& request) {
    store::LifeFilter filter;
    filter.kind = release::deployment_kind;
    filter.app = query(request, "app");
    filter.env = query(request, "env");
    return services.parts.records.lives(filter);
}

json deploying_json(const release::Deploying& in) {
    return {{"life", in.life}, {"generation", in.generation}, {"after", in.after}};
}

http::Response accepted(Services& services, const Result<release::Deploying>& in) {
    if (!in) {
        return http::problem(in.error());
    }
    json out = deploying_json(*in);
    if (in->waits) {
        out = {{"approval", approval_json(services, *in->waits)}, {"after", in->after}};
    }
    return answer(202, out);
}

Result<release::DeployRequest> make_deploy_request(Services& services, const Wanted& wanted,
                                                   const Context& ctx) {
    TRY_ASSIGN(const auto found, find_release(services, wanted.app, wanted.release));
    TRY_ASSIGN(const bool there, release::has_images(services.engine, found, ctx));
    if (!there) {
        return fail(
            Code::not_found, "the images of release " + found.tag + " are gone",
            "build it again: `git checkout " + found.commit.substr(0, 12) + "`, `seatrial build`");
    }
    TRY_ASSIGN(const auto app, parse_app_of(found.app_text, "seatrial.yaml"));
    const auto server = services.parts.config.get();
    TRY_ASSIGN(const auto environment, config::environment_for(*server, app, wanted.env));
    release::DeployRequest out;
    out.app = wanted.app;
    out.env = wanted.env;
    out.actor = wanted.actor;
    out.reason = wanted.reason;
    out.rules = approval_rules(services, environment, approval::deploy_action);
    TRY_ASSIGN(out.settings, release::make_settings(found, app, environment));
    out.content = release::make_content(found, app, environment);
    release::Reader reader(services.sources, ctx);
    TRY(check_place(app, found, out.content, *server, environment, reader, out.notes, ctx));
    TRY(compare(*server, environment, wanted, reader, out));
    TRY(add_shared(services, *server, environment, reader, out));
    return out;
}

http::Response post_deployment(Services& services, const http::Request& request,
                               const Context& ctx) {
    const auto body = parse_body(request, {{"app", Kind::text},
                                           {"env", Kind::text},
                                           {"release", Kind::text},
                                           {"from", Kind::text},
                                           {"allowDifferences", Kind::flag},
                                           {"dryRun", Kind::flag},
                                           {"reason", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    const auto meant = [&]() -> Result<release::DeployRequest> {
        Wanted wanted;
        wanted.app = body->value("app", "");
        wanted.env = body->value("env", "");
        wanted.actor = actor_of(request);
        wanted.reason = body->value("reason", "");
        wanted.release = body->value("release", "");
        if (const std::string from = body->value("from", ""); !from.empty()) {
            wanted.from = from;
            wanted.allow_differences = body->value("allowDifferences", false);
            TRY_ASSIGN(wanted.release, serving_in(services, wanted.app, from));
        }
        return make_deploy_request(services, wanted, ctx);
    }();
    if (!meant) {
        return http::problem(meant.error());
    }
    return body->value("dryRun", false) ? rehearsed(services.releases.rehearse_deploy(*meant))
                                        : accepted(services, services.releases.deploy(*meant));
}

http::Response post_rollback(Services& services, const http::Request& request,
                             const Context& /*ctx*/) {
    const auto body = parse_body(request, {{"app", Kind::text},
                                           {"env", Kind::text},
                                           {"to", Kind::text},
                                           {"dryRun", Kind::flag},
                                           {"reason", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    release::RollbackRequest wanted{body->value("app", ""),    body->value("env", ""),
                                    body->value("to", ""),     actor_of(request),
                                    body->value("reason", ""), {}};
    const auto server = services.parts.config.get();
    const auto environment = server->environments.find(wanted.env);
    // An environment that is not configured any more has no rules: going back stays possible.
    if (environment != server->environments.end()) {
        wanted.rules = approval_rules(services, environment->second, approval::rollback_action);
    }
    return body->value("dryRun", false) ? rehearsed(services.releases.rehearse_rollback(wanted))
                                        : accepted(services, services.releases.roll_back(wanted));
}

http::Response post_resume(Services& services, const http::Request& request,
                           const Context& /*ctx*/) {
    const auto body = parse_body(request, {{"app", Kind::text}, {"env", Kind::text}});
    if (!body) {
        return http::problem(body.error());
    }
    const auto held = services.releases.lift_hold(body->value("app", ""), body->value("env", ""),
                                                  actor_of(request));
    return held ? answer(200, {{"was_held", *held}}) : http::problem(held.error());
}

http::Response list_deployments(Services& services, const http::Request& request,
                                const Context& /*ctx*/) {
    const auto lives = deployments(services, request);
    if (!lives) {
        return http::problem(lives.error());
    }
    json out = json::array();
    for (const auto& life : *lives) {
        const auto one = deployment_json(life);
        if (!one) {
            return http::problem(one.error());
        }
        out.push_back(*one);
    }
    return answer(200, out);
}

http::Response get_history(Services& services, const http::Request& request,
                           const Context& /*ctx*/) {
    const auto lives = deployments(services, request);
    if (!lives) {
        return http::problem(lives.error());
    }
    const auto asked = services.parts.records.approvals(query(request, "app"),
                                                        query(request, "env"), false, most_rows);
    if (!asked) {
        return http::problem(asked.error());
    }
    std::vector<EventSource> sources;
    for (const auto& life : *lives) {
        sources.push_back({life.id, life.app, life.env});
    }
    for (const auto& approval : *asked) {
        sources.push_back({approval.id, approval.app, approval.env});
    }
    const auto events = history_of(services, sources);
    return events ? answer(200, *events) : http::problem(events.error());
}

http::Response list_incidents(Services& services, const http::Request& request,
                              const Context& /*ctx*/) {
    const auto rows =
        services.parts.records.incidents(query(request, "app"), query(request, "env"), most_rows);
    if (!rows) {
        return http::problem(rows.error());
    }
    json out = json::array();
    for (const auto& row : *rows) {
        json one = json::parse(row.data, nullptr, false);
        one["id"] = row.id;
        one["app"] = row.app;
        one["env"] = row.env;
        one["at"] = render_time(row.at);
        out.push_back(std::move(one));
    }
    return answer(200, out);
}

}    // namespace seatrial::api
