#include "release/manager.h"

#include <nlohmann/json.hpp>

#include "base/names.h"
#include "crypto/crypto.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

store::Event asked(const store::Life& life, const Spec& spec, const char* kind) {
    store::Event event;
    event.at = now_utc();
    event.life = life.id;
    event.generation = life.generation;
    event.actor = spec.actor;
    event.kind = kind;
    event.data =
        json{{"release", spec.wanted.release}, {"tag", spec.wanted.tag}, {"reason", spec.reason}}
            .dump(-1, ' ', false, json::error_handler_t::replace);
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

Result<Deploying> Manager::want(store::Writer& writer, store::Life& life, Spec& spec,
                                Standing& standing, const Content& content) {
    spec.wanted = content;
    standing.state.wanted = content.release;
    standing.state.step = -1;
    standing.state.stopped = false;
    standing.state.switched_at.reset();
    standing.failure.clear();
    standing.began_at = now_utc();
    ++life.generation;
    life.spec = render_spec(spec);
    life.status = render_standing(standing);
    life.changed_at = now_utc();
    TRY_ASSIGN(const std::int64_t after, writer.last_event());
    TRY(writer.put_life(life));
    return Deploying{life.id, life.generation, after};
}

Result<Deploying> Manager::deploy(const DeployRequest& request) {
    TRY(check_request(request));
    Deploying out;
    TRY(records_.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(const auto existing, writer.live(deployment_kind, request.app, "", request.env));
        store::Life life;
        Spec spec;
        Standing standing;
        if (existing) {
            life = *existing;
            TRY_ASSIGN(spec, parse_spec(life.spec));
            TRY_ASSIGN(standing, parse_standing(life.status));
        } else {
            life.kind = deployment_kind;
            life.created_at = now_utc();
            life.id = make_ulid(life.created_at.time_since_epoch().count(), crypto::random_u64(),
                                crypto::random_u64());
            life.app = request.app;
            life.env = request.env;
            life.state = "starting";
        }
        if (spec.held && !request.manual) {
            return fail(Code::refused,
                        request.app + " in " + request.env + " was rolled back by hand",
                        "`seatrial resume " + request.env + "` lets automation go on");
        }
        TRY_ASSIGN(const auto release, writer.release(request.content.release));
        if (release && !release->rejected.empty()) {
            return fail(Code::refused,
                        "release " + request.content.tag + " was rejected: " + release->rejected,
                        "build a new one");
        }
        spec.app = request.app;
        spec.env = request.env;
        spec.settings = request.settings;
        spec.actor = request.actor;
        spec.reason = request.reason;
        set_hold(spec, false, "", "");
        TRY_ASSIGN(out, want(writer, life, spec, standing, request.content));
        return writer.add_event(asked(life, spec, "deploy"));
    }));
    reconciler_.supersede(out.life);
    return out;
}

Result<Deploying> Manager::roll_back(const std::string& app, const std::string& env,
                                     const std::string& to, const std::string& actor,
                                     const std::string& reason) {
    Deploying out;
    TRY(records_.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(const auto existing, writer.live(deployment_kind, app, "", env));
        if (!existing) {
            return fail(Code::not_found, "nothing of " + app + " is deployed in " + env);
        }
        store::Life life = *existing;
        TRY_ASSIGN(Spec spec, parse_spec(life.spec));
        TRY_ASSIGN(Standing standing, parse_standing(life.status));
        Content target = spec.previous;
        if (!to.empty()) {
            target = Content();
            for (const auto& [slot, content] : standing.contents) {
                if (content.release == to || content.tag == to) {
                    target = content;
                }
            }
            if (spec.previous.release == to || spec.previous.tag == to) {
                target = spec.previous;
            }
        }
        if (target.release.empty()) {
            return fail(Code::not_found,
                        to.empty() ? "there is no release before this one in " + env
                                   : "release " + to + " is not kept in " + env,
                        "deploy it by its id; `seatrial releases` lists them");
        }
        spec.actor = actor;
        spec.reason = reason;
        set_hold(spec, true, actor, reason);
        TRY_ASSIGN(out, want(writer, life, spec, standing, target));
        return writer.add_event(asked(life, spec, "rollback"));
    }));
    reconciler_.supersede(out.life);
    return out;
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
        return writer.add_event(asked(life, spec, "hold_lifted"));
    }));
    if (held) {
        reconciler_.supersede(id);
    }
    return held;
}

}    // namespace seatrial::release
