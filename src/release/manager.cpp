#include "release/manager.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "edge/ports.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

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
    event.data = dump_json(data);
    return event;
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

Proposal as_proposal(const DeployRequest& request) {
    return {approval::deploy_action, request.app, request.env, request.actor, request.reason};
}

Proposal as_proposal(const RollbackRequest& request) {
    return {approval::rollback_action, request.app, request.env, request.actor, request.reason};
}

bool needs_yes(const approval::Rules& rules, const Proposal& now) {
    return rules.required || (rules.unseen && now.content.migration.unseen);
}

void want_release(Proposal& now) {
    State& state = now.standing.state;
    now.spec.wanted = now.content;
    state.wanted = now.content.release;
    state.step = -1;
    state.stopped = false;
    state.switched_at.reset();
    state.proving = false;
    now.standing.failure.clear();
    now.standing.losing.reset();    // seen before this
    now.standing.queue_report.clear();
    now.standing.began_at = now_utc();
}

Result<Deploying> want(store::Writer& writer, Proposal& now) {
    now.spec.actor = now.actor;
    now.spec.reason = now.reason;
    if (now.action != approval::restore_action) {
        want_release(now);
    }
    ++now.life.generation;
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(now.standing);
    now.life.changed_at = now_utc();
    TRY_ASSIGN(const std::int64_t after, writer.last_event());
    TRY(writer.put_life(now.life));
    return Deploying{now.life.id, now.life.generation, after, {}};
}

}    // namespace

Result<Deploying> Manager::propose(const approval::Rules& rules, const approval::Decision* decision,
                                   const Proposal& proposal, const Admit& admit) {
    // Before the transaction: the user database may be slow.
    const Status possible =
        decision == nullptr && (rules.required || rules.unseen)
            ? approval::check_possible(rules, proposal.actor, approval::find_user)
            : Status();
    Deploying out;
    TRY(records_.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        Proposal now = proposal;
        TRY(admit(writer, now));
        TRY_ASSIGN(const auto asked, make_asked(writer, now));
        if (decision == nullptr && needs_yes(rules, now)) {
            TRY(possible);
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
            TRY_ASSIGN(const auto decided, approval::decide(writer, *decision, asked.digest,
                                                            dump_json(started), now_utc()));
            more = {{"approval", decided.id}, {"approved_by", decision->actor}};
        }
        if (now.action == approval::restore_action) {
            more["snapshot"] = now.standing.restoring->snapshot;
            more["discard"] = now.standing.restoring->discard;
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
        request.rules, decision, as_proposal(request),
        [&](store::Writer& writer, Proposal& now) { return admit_deploy(writer, request, now); });
}

Result<Deploying> Manager::put_rollback(const RollbackRequest& request,
                                        const approval::Decision* decision) {
    return propose(
        request.rules, decision, as_proposal(request),
        [&](store::Writer& writer, Proposal& now) { return admit_rollback(writer, request, now); });
}

Result<Deploying> Manager::put_restore(const RestoreRequest& request,
                                       const approval::Decision* decision) {
    const Proposal proposal{approval::restore_action, request.app, request.env, request.actor,
                            request.reason};
    return propose(request.rules, decision, proposal, [&](store::Writer& writer, Proposal& now) {
        return admit_restore(writer, request, now);
    });
}

Result<Rehearsal> Manager::rehearse(const approval::Rules& rules, Proposal now,
                                    const Admit& admit) {
    Rehearsal out;
    const Status possible = approval::check_possible(rules, now.actor, approval::find_user);
    TRY(records_.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
        TRY(admit(writer, now));
        TRY_ASSIGN(const auto asked, make_asked(writer, now));
        out.details = asked.details;
        out.asks = needs_yes(rules, now);
        if (out.asks) {
            TRY(possible);
        }
        return {};
    }));
    return out;
}

Result<Rehearsal> Manager::rehearse_deploy(const DeployRequest& request) {
    TRY(check_request(request));
    TRY(check_ports(request));
    return rehearse(request.rules, as_proposal(request), [&](store::Writer& writer, Proposal& now) {
        return admit_deploy(writer, request, now);
    });
}

Result<Rehearsal> Manager::rehearse_rollback(const RollbackRequest& request) {
    return rehearse(request.rules, as_proposal(request), [&](store::Writer& writer, Proposal& now) {
        return admit_rollback(writer, request, now);
    });
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
