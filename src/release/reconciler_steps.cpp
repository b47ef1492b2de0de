// What the reconciler does for each action; each may be done again after dying half-way.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/names.h"
#include "crypto/crypto.h"
#include "docker/containers.h"
#include "release/containers.h"
#include "release/incident.h"
#include "release/key_files.h"
#include "release/news.h"
#include "release/phase_file.h"
#include "release/reconciler.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

// The edge asks a server that was down twice, 500 ms apart, before it sends users there again.
constexpr std::chrono::seconds edge_patience{5};    // with a container that came back
constexpr std::chrono::milliseconds edge_pause{20};

std::vector<std::string> told(const std::vector<Finding>& findings) {
    std::vector<std::string> out;
    out.reserve(findings.size());
    for (const auto& finding : findings) {
        out.push_back(render_finding(finding));
    }
    return out;
}

std::string tag_of(const Standing& standing, const std::string& slot) {
    const auto content = standing.contents.find(slot);
    return content == standing.contents.end() ? "" : content->second.tag;
}

// The slot that users are about to reach; "": they stay where they are.
std::string slot_ahead(const Standing& standing) {
    const std::string& due = standing.due->kind;
    return due == "switched" ? standing.state.stable
           : due == "share"  ? slot_of(standing.state, standing.state.wanted)
                             : "";
}

// The edge may take what came back for dead. One that it never trusts is for the checks to judge.
Status await_trust(edge::Haproxy& edge, const std::string& site, const std::string& slot,
                   const Context& ctx) {
    const Context limited = ctx.with_timeout(edge_patience);
    do {
        TRY_ASSIGN(const bool trusted, edge.trusts(site, slot, ctx));
        if (trusted) {
            return {};
        }
    } while (wait_for(edge_pause, limited));
    return ctx.ok();
}

}    // namespace

// Before anything is made: whatever happens, the records know the names.
Status Reconciler::write_down(Look& now, const std::string& slot) {
    Standing& standing = now.standing;
    const std::string site = site_name(now.spec.app, now.spec.env);
    standing.contents[slot] = now.spec.wanted;
    standing.instances[slot] =
        choose_instances(now.spec.wanted, parts_.instance, site,
                         now.life.id + "/" + std::to_string(now.life.generation) + "/" + slot +
                             "/" + std::to_string(crypto::random_u64()));
    standing.probes[slot] = crypto::sha256_hex(std::to_string(crypto::random_u64()) +
                                               std::to_string(crypto::random_u64()));
    standing.state.slots[slot] = {now.spec.wanted.release, Phase::starting, now_utc(), false, 0};
    standing.began_at = now_utc();
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(standing);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        std::int64_t order = 0;
        const auto own = [&](const char* type, const std::string& name) {
            return writer.add_owned({now.life.id, order++, type, engine_place, name});
        };
        const Owner owner = owner_of(now, slot);
        TRY(own(network_type, owner.network));
        // Volumes stay: they are what releases leave to the next.
        for (const auto& part : now.spec.wanted.components) {
            for (const auto& volume : part.volumes) {
                if (volume.source.empty()) {
                    TRY(own(volume_type, volume_name(owner.site, volume.name)));
                }
            }
        }
        for (const auto& [component, list] : standing.instances[slot]) {
            for (const auto& one : list) {
                TRY(own(container_type, one.container));
            }
        }
        return writer.add_event(
            make_event(now.life, "starting", {{"slot", slot}, {"tag", now.spec.wanted.tag}}));
    });
}

Status Reconciler::start(Look& now, const std::string& slot, const Context& ctx) {
    Standing& standing = now.standing;
    const auto place = standing.state.slots.find(slot);
    if (place == standing.state.slots.end() || place->second.release != now.spec.wanted.release) {
        TRY(write_down(now, slot));
    }
    TRY(failpoint("release.journalled"));
    TRY_ASSIGN(const bool migrated, migrate(now, slot, ctx));
    if (!migrated) {
        return {};
    }
    const Content& content = standing.contents.at(slot);
    Status up = start_instances(parts_.engine, content, owner_of(now, slot),
                                &standing.instances[slot], ctx);
    if (up) {
        up = await_health(parts_.engine, content, standing.instances[slot], ctx);
    }
    if (!up) {
        return is_passing(up.error()) ? up : give_up(now, slot, up.error());
    }
    enter(standing, slot, Phase::ready);
    return save(
        now, {make_event(now.life, "healthy",
                         {{"slot", slot},
                          {"ms", (now_utc() - standing.began_at.value_or(now_utc())).count()}})});
}

// What serves from now on follows from what is wanted: call it after want_previous().
store::Incident Reconciler::make_incident(const Look& now, const std::string& release,
                                          const std::string& tag, const std::string& why,
                                          bool switched) {
    const bool none = now.standing.state.stable.empty() || now.spec.wanted.release == release;
    return release::make_incident({now.spec.app, now.spec.env, release, tag,
                                   none ? "" : now.spec.wanted.tag, why, now.spec.actor, switched,
                                   told(now.judged.findings)});
}

Status Reconciler::give_up(Look& now, const std::string& slot, const Error& error) {
    if (!slot.empty()) {
        enter(now.standing, slot, Phase::failed);
    }
    const std::string why = render_error(error);
    const Content bad = now.spec.wanted;
    want_previous(now, why);
    const store::Incident incident = make_incident(now, bad.release, bad.tag, why, false);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        now.life.spec = render_spec(now.spec);
        now.life.status = render_standing(now.standing);
        now.life.done_generation = now.life.generation;
        TRY(writer.settle(now.life, now.life.generation));
        TRY(writer.add_incident(incident));
        return writer.add_event(make_event(now.life, "failed",
                                           {{"slot", slot},
                                            {"release", bad.release},
                                            {"tag", bad.tag},
                                            {"message", why},
                                            {"hint", error.hint},
                                            {"incident", incident.id}}));
    });
}

// Forward only: what is wanted becomes the release that users are on.
void Reconciler::want_previous(Look& now, const std::string& why) {
    Standing& standing = now.standing;
    standing.failure = why;
    standing.state.step = -1;
    standing.state.switched_at.reset();
    standing.state.proving = false;
    const bool switched =
        !standing.state.stable.empty() &&
        standing.state.slots[standing.state.stable].release == now.spec.wanted.release;
    const auto stable = standing.contents.find(standing.state.stable);
    if (!switched && stable != standing.contents.end()) {
        now.spec.wanted = stable->second;
    } else if (switched && !now.spec.previous.release.empty()) {
        now.spec.wanted = now.spec.previous;
    } else {
        standing.state.stopped = true;    // there is nothing to go back to
        return;
    }
    standing.state.wanted = now.spec.wanted.release;
}

Status Reconciler::share(Look& now, const Action& action, const Context& ctx) {
    if (now.standing.state.step < 0) {
        TRY_ASSIGN(const auto counts, parts_.edge.haproxy().counts(
                                          site_name(now.spec.app, now.spec.env), action.slot, ctx));
        now.standing.failed_before = counts.failed_by_edge;
    }
    enter(now.standing, action.slot, Phase::serving);
    now.standing.state.step = action.step;
    now.standing.state.step_since = now_utc();
    now.standing.due =
        Due{"share", json{{"slot", action.slot}, {"per_mille", action.per_mille}}.dump()};
    TRY(save(now));
    TRY(failpoint("release.shared"));
    return catch_up(now, ctx);
}

Status Reconciler::catch_up(Look& now, const Context& ctx) {
    if (const std::string slot = slot_ahead(now.standing); !slot.empty()) {
        const auto again = restart_ended(parts_.engine, now.standing.contents.at(slot),
                                         owner_of(now, slot), &now.standing.instances[slot], ctx);
        if (!again && is_passing(again.error())) {
            return tl::unexpected(again.error());
        }
        if (again.value_or(false)) {
            TRY(save(now, {make_event(now.life, "revived", {{"slot", slot}})}));
        }
        if (again) {    // What cannot start again is for revive() to judge.
            TRY(await_trust(parts_.edge.haproxy(), site_name(now.spec.app, now.spec.env), slot,
                            ctx));
        }
    }
    const auto before = std::chrono::steady_clock::now();
    TRY(parts_.edge.refresh(ctx));
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - before);
    for (const auto& [slot, content] : now.standing.contents) {
        const Owner owner = owner_of(now, slot);
        if (owner.live && has_workers(content)) {
            TRY(write_phase(owner.folder, true));
        }
    }
    json data = json::parse(now.standing.due->data);
    data["switch_us"] = took.count();
    const std::string kind = now.standing.due->kind;
    now.standing.due.reset();
    if (kind != "revived") {    // users moved now, however long ago that was decided
        State& state = now.standing.state;
        const WallTime moved = now_utc();
        for (auto& [name, slot] : state.slots) {
            slot.since = slot.phase == Phase::draining ? moved : slot.since;
        }
        state.switched_at = state.switched_at ? moved : state.switched_at;
        state.step_since = state.step >= 0 ? moved : state.step_since;
    }
    return save(now, {make_event(now.life, kind, data)});
}

Status Reconciler::promote(Look& now, const std::string& slot, const Context& ctx) {
    Standing& standing = now.standing;
    if (standing.state.step < 0) {
        TRY_ASSIGN(const auto counts,
                   parts_.edge.haproxy().counts(site_name(now.spec.app, now.spec.env), slot, ctx));
        standing.failed_before = counts.failed_by_edge;
    }
    // A release that served before is trusted: a way back waits for nothing.
    const Phase was = standing.state.slots[slot].phase;
    standing.state.proving =
        !now.spec.settings.checks.empty() && (was == Phase::checked || was == Phase::serving);
    const std::string old = standing.state.stable;
    if (!old.empty() && old != slot) {
        enter(standing, old, Phase::draining);
        if (!standing.state.slots[old].rejected) {
            now.spec.previous = standing.contents[old];
        }
    }
    enter(standing, slot, Phase::serving);
    standing.state.slots[slot].deaths = 0;
    standing.state.stable = slot;
    standing.state.step = -1;
    standing.state.switched_at = now_utc();
    if (!standing.contents[slot].cache.prefixes.empty()) {
        standing.state.reset = now_utc();
        standing.state.resets = 0;
    }
    now.life.state = "serving";
    standing.due = Due{"switched", json{{"from", old},
                                        {"to", slot},
                                        {"tag", tag_of(standing, slot)},
                                        {"proving", standing.state.proving}}
                                       .dump()};
    // Records first, the edge follows them: whoever dies in between, the next look switches.
    TRY(save(now));
    TRY(failpoint("release.promoted"));
    return catch_up(now, ctx);
}

Status Reconciler::retire(Look& now, const std::string& slot, const Context& ctx) {
    TRY(settle_migrations(now, ctx));
    // The edge lets go first, then the containers end.
    auto instances = now.standing.instances[slot];
    for (auto& [component, list] : now.standing.instances[slot]) {
        for (auto& one : list) {
            one.server = {};
        }
    }
    now.standing.probes.erase(slot);
    TRY(save(now));
    TRY(parts_.edge.refresh(ctx));
    TRY(failpoint("release.let_go"));
    const Owner owner = owner_of(now, slot);
    TRY(remove_instances(parts_.engine, instances, owner.network, ctx));
    TRY(remove_key_files(owner.folder));
    now.standing.instances.erase(slot);
    now.standing.contents.erase(slot);
    now.standing.state.slots.erase(slot);
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(now.standing);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        for (const auto& [component, list] : instances) {
            for (const auto& one : list) {
                TRY(writer.remove_owned(container_type, engine_place, one.container));
            }
        }
        TRY(writer.remove_owned(network_type, engine_place, owner.network));
        return writer.add_event(make_event(now.life, "retired", {{"slot", slot}}));
    });
}

Status Reconciler::revert(Look& now, const Action& action, const Context& ctx) {
    State& state = now.standing.state;
    const std::string bad_tag = tag_of(now.standing, action.slot);
    const std::string bad = now.spec.wanted.release;
    const bool switched = action.slot == state.stable;
    const auto migrated = now.standing.migrations.find(bad);
    if (switched && migrated != now.standing.migrations.end() && migrated->second.contract) {
        return stop(now, action.slot,
                    action.why + "; not taken back: its migration removed what " +
                        now.spec.previous.tag + " uses");
    }
    state.slots[action.slot].rejected = true;
    want_previous(now, action.why);
    if (!switched) {
        enter(now.standing, action.slot, Phase::draining);
    }
    const store::Incident incident = make_incident(now, bad, bad_tag, action.why, switched);
    now.standing.due = Due{"reverted", json{{"why", action.why}, {"incident", incident.id}}.dump()};
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(now.standing);
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        TRY_ASSIGN(auto release, writer.release(bad));
        if (release) {
            release->rejected = action.why;
            TRY(writer.put_release(*release));
        }
        return writer.add_incident(incident);
    }));
    return catch_up(now, ctx);
}

Status Reconciler::stop(Look& now, const std::string& slot, const std::string& why) {
    State& state = now.standing.state;
    state.stopped = true;
    now.standing.failure = why;
    store::Incident incident =
        make_incident(now, now.spec.wanted.release, now.spec.wanted.tag, why, slot == state.stable);
    json data = json::parse(incident.data);
    data["back_to"] = tag_of(now.standing, state.stable);    // it serves on
    incident.data = data.dump(-1, ' ', false, json::error_handler_t::replace);
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(now.standing);
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        TRY(writer.add_incident(incident));
        return writer.add_event(
            make_event(now.life, "stopped", {{"why", why}, {"incident", incident.id}}));
    });
}

Status Reconciler::finish(Look& now, const Context& ctx) {
    if (now.spec.settings.policy.gates.empty()) {    // nobody has asked yet
        TRY_ASSIGN(now.judged.sample, sample(now, now.standing.state.stable, ctx));
    }
    const Sample& measured = now.judged.sample;
    now.standing.state.switched_at.reset();
    now.life.done_generation = now.life.generation;
    json data = {{"tag", now.spec.wanted.tag},
                 {"gates", told(now.judged.findings)},
                 {"requests", measured.requests},
                 {"failed", measured.failed},
                 {"ms", (now_utc() - now.standing.began_at.value_or(now_utc())).count()}};
    if (!now.standing.queue_report.empty()) {
        data["queues"] = json::parse(now.standing.queue_report, nullptr, false);
        now.standing.queue_report.clear();
    }
    return save(now, {make_event(now.life, "receipt", data)});
}

}    // namespace seatrial::release
