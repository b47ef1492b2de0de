#include "release/manager.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "edge/ports.h"
#include "release/builder.h"
#include "release/compatibility.h"
#include "release/database.h"
#include "release/incident.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

std::string dump(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

store::Event make_event(const store::Life& life, const Spec& spec, const char* kind,
                        const json& more = json::object()) {
    store::Event event;
    event.at = now_utc();
    event.life = life.id;
    event.generation = life.generation;
    event.actor = spec.actor;
    event.kind = kind;
    json data = {
        {"release", spec.wanted.release}, {"tag", spec.wanted.tag}, {"reason", spec.reason}};
    data.update(more);
    event.data = dump(data);
    return event;
}

// Who holds first is told; a second rollback by hand does not start the hold anew.
void set_hold(Spec& spec, bool held, const std::string& by, const std::string& reason) {
    if (held && spec.held) {
        return;
    }
    spec.held = held;
    spec.held_at = held ? std::optional<WallTime>(now_utc()) : std::nullopt;
    spec.held_by = by;
    spec.held_reason = reason;
}

Status check_request(const DeployRequest& request) {
    TRY(check_label("app", request.app, 64));
    TRY(check_label("environment", request.env, 64));
    if (request.content.release.empty() || request.content.components.empty()) {
        return fail(Code::invalid, "a release without components cannot be deployed");
    }
    if (request.settings.listens.empty()) {
        return fail(Code::invalid, "the environment '" + request.env + "' has no port for releases",
                    "give it `release.listen` in the server's file");
    }
    edge::Wanted trial;
    trial.sites.push_back(make_site(request.app, request.env, request.settings, Standing()));
    trial.sites.back().components.clear();
    return edge::validate(trial);
}

}    // namespace

// What somebody proposes, while its transaction goes on.
struct Manager::Proposal {
    std::string_view action;
    std::string app, env, actor, reason;
    store::Life life = {};
    Spec spec = {};
    Standing standing = {};
    Content content = {};    // what would run
    Content bad = {};        // of a rollback: what it is taken back from
    // Of a deploy, for people and for the record.
    std::string from = {}, rules_of = {};
    std::vector<std::string> differences = {}, notes = {};
};

namespace {

using Proposal = Manager::Proposal;

// What is deployed there already; false: nothing.
Result<bool> load(store::Writer& writer, Proposal& now) {
    TRY_ASSIGN(const auto existing, writer.live(deployment_kind, now.app, "", now.env));
    if (!existing) {
        return false;
    }
    now.life = *existing;
    TRY_ASSIGN(now.spec, parse_spec(now.life.spec));
    TRY_ASSIGN(now.standing, parse_standing(now.life.status));
    return true;
}

Status admit_deploy(store::Writer& writer, const DeployRequest& request, Proposal& now) {
    TRY_ASSIGN(const bool exists, load(writer, now));
    if (!exists) {
        now.life.kind = deployment_kind;
        now.life.created_at = now_utc();
        now.life.id = make_ulid(now.life.created_at.time_since_epoch().count(),
                                crypto::random_u64(), crypto::random_u64());
        now.life.app = request.app;
        now.life.env = request.env;
        now.life.state = "starting";
    }
    if (now.spec.held && !request.manual) {
        return fail(Code::refused, request.app + " in " + request.env + " was rolled back by hand",
                    "`seatrial resume " + request.env + "` lets automation go on");
    }
    TRY_ASSIGN(const auto release, writer.release(request.content.release));
    if (release && !release->rejected.empty()) {
        return fail(Code::refused,
                    "release " + request.content.tag + " was rejected: " + release->rejected,
                    "build a new one");
    }
    now.spec.app = request.app;
    now.spec.env = request.env;
    now.spec.settings = request.settings;
    now.spec.shares = request.shares;
    now.from = request.from;
    now.rules_of = request.rules_of;
    now.differences = request.differences;
    now.notes = request.notes;
    now.content = request.content;
    set_hold(now.spec, false, "", "");
    TRY(check_beside(now.content, now.standing, now.env));
    return settle_database(writer, now.app, now.spec.shares, now.standing, now.content);
}

Status admit_rollback(store::Writer& writer, const RollbackRequest& request, Proposal& now) {
    TRY_ASSIGN(const bool exists, load(writer, now));
    if (!exists) {
        return fail(Code::not_found,
                    "nothing of " + request.app + " is deployed in " + request.env);
    }
    // Stopped or still on its way, the wanted release is what people want to be rid of.
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    const bool halfway = serving != now.standing.contents.end() &&
                         serving->second.release != now.spec.wanted.release;
    now.bad = halfway                                  ? now.spec.wanted
              : serving == now.standing.contents.end() ? Content()
                                                       : serving->second;
    const std::string& to = request.to;
    const auto is_meant = [&](const Content& content) {
        return content.release == to || content.tag == to;
    };
    if (to.empty() || is_meant(now.spec.previous)) {
        now.content = to.empty() && halfway ? serving->second : now.spec.previous;
    } else {
        for (const auto& [slot, content] : now.standing.contents) {
            if (is_meant(content)) {
                now.content = content;
            }
        }
    }
    if (now.content.release.empty()) {
        return fail(Code::not_found,
                    to.empty() ? "there is no release before this one in " + request.env
                               : "release " + to + " is not kept in " + request.env,
                    "deploy it by its id; `seatrial releases` lists them");
    }
    TRY(check_beside(now.content, now.standing, now.env));
    TRY(check_way_back(writer, now.app, now.spec.shares, now.standing, now.content));
    set_hold(now.spec, true, request.actor, request.reason);
    return {};
}

Result<Deploying> want(store::Writer& writer, Proposal& now) {
    State& state = now.standing.state;
    now.spec.actor = now.actor;
    now.spec.reason = now.reason;
    now.spec.wanted = now.content;
    state.wanted = now.content.release;
    state.step = -1;
    state.stopped = false;
    state.switched_at.reset();
    state.proving = false;
    now.standing.failure.clear();
    now.standing.queue_report.clear();
    now.standing.began_at = now_utc();
    ++now.life.generation;
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(now.standing);
    now.life.changed_at = now_utc();
    TRY_ASSIGN(const std::int64_t after, writer.last_event());
    TRY(writer.put_life(now.life));
    return Deploying{now.life.id, now.life.generation, after, {}};
}

// What a yes would allow, for people; its digest is what the yes is bound to.
Result<approval::Asked> make_asked(store::Writer& writer, const Proposal& now) {
    json details = {{"tag", now.content.tag}, {"components", json::object()}};
    json bound = {{"action", now.action},
                  {"app", now.app},
                  {"env", now.env},
                  {"release", now.content.release},
                  {"components", json::array()}};
    if (!now.content.migration.argv.empty()) {
        bound["migration"] = now.content.migration.argv;
        details["migration"] = {{"contract", now.content.migration.contract},
                                {"notes", now.content.migration.notes}};
    }
    if (!now.differences.empty()) {
        details["differences"] = bound["differences"] = now.differences;
    }
    if (!now.notes.empty()) {
        details["notes"] = now.notes;
    }
    if (!now.from.empty()) {
        details["from"] = now.from;
    }
    if (!now.rules_of.empty()) {
        details["rules_of"] = now.rules_of;
    }
    for (const auto& part : now.content.components) {
        details["components"][part.name] = part.image;
        bound["components"].push_back({part.name, part.image, part.argv});
    }
    TRY_ASSIGN(const auto row, writer.release(now.content.release));
    if (row) {
        TRY_ASSIGN(const auto release, release_of(*row));
        details["commit"] = bound["commit"] = release.commit;
    }
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    if (serving != now.standing.contents.end()) {
        details["serving"] = serving->second.tag;
    }
    return approval::Asked{
        std::string(now.action),         now.app,   now.env,    now.content.release,
        crypto::sha256_hex(dump(bound)), now.actor, now.reason, dump(details)};
}

// Of a rollback by hand: somebody found the release bad.
store::Incident incident_of(const Proposal& now) {
    const auto serving = now.standing.contents.find(now.standing.state.stable);
    const bool switched =
        serving != now.standing.contents.end() && serving->second.release == now.bad.release;
    return make_incident({now.app, now.env, now.bad.release, now.bad.tag, now.content.tag,
                          "rolled back by hand" + (now.reason.empty() ? "" : ": " + now.reason),
                          now.actor, switched});
}

}    // namespace

Result<Deploying> Manager::propose(const approval::Rules& rules, const approval::Decision* decision,
                                   const Proposal& proposal, const Admit& admit) {
    const bool asks = rules.required && decision == nullptr;
    if (asks) {
        TRY(approval::check_possible(rules, proposal.actor, approval::find_user));
    }
    Deploying out;
    TRY(records_.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        Proposal now = proposal;
        TRY(admit(writer, now));
        TRY_ASSIGN(const auto asked, make_asked(writer, now));
        if (asks) {
            TRY_ASSIGN(out.after, writer.last_event());
            TRY_ASSIGN(auto opened, approval::ask(writer, asked, rules, now_utc()));
            out.waits = std::move(opened.approval);
            return {};
        }
        TRY_ASSIGN(out, want(writer, now));
        TRY(approval::supersede(writer, now.app, now.env, now.actor,
                                decision != nullptr ? decision->id : "", now_utc()));
        json more = json::object();
        if (decision != nullptr) {
            const json started = {
                {"life", out.life}, {"generation", out.generation}, {"after", out.after}};
            TRY_ASSIGN(const auto decided,
                       approval::decide(writer, *decision, asked.digest, dump(started), now_utc()));
            more = {{"approval", decided.id}, {"approved_by", decision->actor}};
        }
        if (!now.differences.empty()) {
            more["differences"] = now.differences;
        }
        if (!now.notes.empty()) {
            more["notes"] = now.notes;
        }
        if (now.action == approval::rollback_action) {
            const auto incident = incident_of(now);
            TRY(writer.add_incident(incident));
            more["incident"] = incident.id;
        }
        return writer.add_event(
            make_event(now.life, now.spec, std::string(now.action).c_str(), more));
    }));
    if (out.waits) {
        TRY(failpoint("approval.asked"));
        return out;
    }
    if (decision != nullptr) {
        TRY(failpoint("approval.given"));
    }
    reconciler_.supersede(out.life);
    return out;
}

// Each app needs ports of its own: what two want, neither could have.
Status Manager::check_ports(const DeployRequest& request) {
    store::LifeFilter filter;
    filter.kind = deployment_kind;
    TRY_ASSIGN(const auto lives, records_.lives(filter));
    for (const auto& life : lives) {
        if (life.app == request.app && life.env == request.env) {
            continue;
        }
        TRY_ASSIGN(const Spec other, parse_spec(life.spec));
        for (const auto& listen : request.settings.listens) {
            for (const auto& has : other.settings.listens) {
                const bool meet =
                    listen.address.empty() || has.address.empty() || listen.address == has.address;
                if (listen.port == has.port && meet) {
                    return fail(
                        Code::conflict,
                        edge::to_string(listen) + " is the port of " + life.app + " in " + life.env,
                        "give " + request.app +
                            " an environment with a port of its own in the server's file");
                }
            }
        }
    }
    return edge::check_obstacles(request.settings.listens);
}

Result<Deploying> Manager::put_deploy(const DeployRequest& request,
                                      const approval::Decision* decision) {
    TRY(check_request(request));
    TRY(check_ports(request));
    return propose(
        request.rules, decision,
        {approval::deploy_action, request.app, request.env, request.actor, request.reason},
        [&](store::Writer& writer, Proposal& now) { return admit_deploy(writer, request, now); });
}

Result<Deploying> Manager::put_rollback(const RollbackRequest& request,
                                        const approval::Decision* decision) {
    return propose(
        request.rules, decision,
        {approval::rollback_action, request.app, request.env, request.actor, request.reason},
        [&](store::Writer& writer, Proposal& now) { return admit_rollback(writer, request, now); });
}

Status Manager::reject(const approval::Decision& decision) {
    return records_.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(const auto done, approval::decide(writer, decision, "", "{}", now_utc()));
        return {};
    });
}

Result<bool> Manager::lift_hold(const std::string& app, const std::string& env,
                                const std::string& actor) {
    std::string id;
    bool held = false;
    TRY(records_.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(const auto existing, writer.live(deployment_kind, app, "", env));
        if (!existing) {
            return fail(Code::not_found, "nothing of " + app + " is deployed in " + env);
        }
        store::Life life = *existing;
        TRY_ASSIGN(Spec spec, parse_spec(life.spec));
        held = spec.held;
        if (!held) {
            return {};
        }
        set_hold(spec, false, "", "");
        spec.actor = actor;
        spec.reason.clear();
        life.spec = render_spec(spec);
        // A new generation: a look that is under way would write the hold back.
        life.done_generation += life.done_generation == life.generation ? 1 : 0;
        ++life.generation;
        id = life.id;
        TRY(writer.put_life(life));
        return writer.add_event(make_event(life, spec, "hold_lifted"));
    }));
    if (held) {
        reconciler_.supersede(id);
    }
    return held;
}

}    // namespace seatrial::release
