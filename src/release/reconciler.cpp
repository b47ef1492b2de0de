#include "release/reconciler.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/names.h"
#include "checks/prometheus.h"
#include "log/log.h"
#include "release/key_files.h"
#include "release/news.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds drain_pause{250};    // no event tells that the last request has ended
constexpr milliseconds gate_pause{2000};
constexpr milliseconds retry_pause{2000};
constexpr milliseconds source_pause{15'000};    // it has been asked a few times already

std::string timer_of(const std::string& life) {
    return "deployment." + life;
}

// Of the migration that the wanted release had in this rollout.
std::optional<milliseconds> migration_time(const Spec& spec, const Standing& standing) {
    const auto step = standing.migrations.find(spec.wanted.release);
    const bool now = step != standing.migrations.end() &&
                     step->second.state == Migrated::State::done && standing.began_at &&
                     step->second.at >= *standing.began_at;
    return now ? std::optional(step->second.took) : std::nullopt;
}

// Whether gates have a say; not once people are to decide.
bool is_judged(const State& state) {
    return !state.stopped && (state.switched_at || state.step >= 0);
}

std::string query_of(const Gate& gate, const std::string& tag) {
    constexpr std::string_view name = "${SEATRIAL_RELEASE}";
    std::string out = gate.query;
    for (auto at = out.find(name); at != std::string::npos; at = out.find(name, at + tag.size())) {
        out.replace(at, name.size(), tag);
    }
    return out;
}

bool any_slot(const State& state, Phase phase) {
    return std::any_of(state.slots.begin(), state.slots.end(),
                       [&](const auto& slot) { return slot.second.phase == phase; });
}

}    // namespace

Reconciler::Reconciler(Parts parts)
    : parts_(std::move(parts)),
      subjects_(parts_.subjects,
                [this](const std::string& id, const Context& ctx) { return look(id, ctx); }) {}

Status Reconciler::wake_all(const Context& ctx) {
    TRY(drop_stray_keys());
    TRY_ASSIGN(const auto ids, parts_.records.unfinished(deployment_kind));
    if (ids.empty()) {
        return {};
    }
    // Users first: what was switched before we died must be switched.
    if (const auto refreshed = parts_.edge.refresh(ctx); !refreshed) {
        log::error("the edge is not as it shall be", refreshed.error());
    }
    for (const auto& id : ids) {
        wake(id);
    }
    return {};
}

Owner Reconciler::owner_of(const Look& now, const std::string& slot) const {
    const std::string site = site_name(now.spec.app, now.spec.env);
    const std::string named = name_mark(parts_.instance) + site;
    const auto place = now.standing.state.slots.find(slot);
    const Phase phase =
        place == now.standing.state.slots.end() ? Phase::empty : place->second.phase;
    return {{{"seatrial.life", now.life.id}},
            parts_.keys / (now.life.id + "-" + slot),
            named + "-" + slot,
            named,
            parts_.sources,
            phase == Phase::serving || phase == Phase::draining || phase == Phase::warm};
}

// Of slots that no record knows: whoever died while they were removed.
Status Reconciler::drop_stray_keys() {
    store::LifeFilter filter;
    filter.kind = deployment_kind;
    TRY_ASSIGN(const auto lives, parts_.records.lives(filter));
    std::set<std::string> kept;
    for (const auto& life : lives) {
        TRY_ASSIGN(const auto standing, parse_standing(life.status));
        for (const auto& [slot, content] : standing.contents) {
            kept.insert(life.id + "-" + slot);
        }
    }
    return keep_key_files(parts_.keys, kept);
}

bool Reconciler::look(const std::string& id, const Context& ctx) {
    const auto life = parts_.records.life(id);
    if (!life || !*life || (*life)->state == "removed") {
        if (!life) {
            log::error("records cannot be read", life.error(), {{"life", id}});
        }
        return false;
    }
    Look now{**life, {}, {}, {}};
    auto spec = parse_spec(now.life.spec);
    auto standing = parse_standing(now.life.status);
    if (!spec || !standing) {
        log::error("a deployment's record cannot be used", spec ? standing.error() : spec.error(),
                   {{"life", id}});
        return false;
    }
    now.spec = std::move(*spec);
    now.standing = std::move(*standing);
    const auto again = go_on(now, ctx);
    if (again) {
        return *again;
    }
    if (again.error().code == Code::cancelled) {
        return ctx.ok().has_value();    // superseded: at once; shutting down: never
    }
    retry(now, again.error());
    return false;
}

void Reconciler::retry(const Look& now, const Error& error) {
    log::warn("a deployment goes on later", error, {{"life", now.life.id}});
    (void)parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) {
        return writer.add_event(
            make_event(now.life, "waiting", {{"message", render_error(error)}}));
    });
    const auto pause = error.mark == secrets::source_mark ? source_pause : retry_pause;
    parts_.timers.set(timer_of(now.life.id), pause, [this, id = now.life.id] { wake(id); });
}

Result<bool> Reconciler::go_on(Look& now, const Context& ctx) {
    if (now.standing.due) {
        TRY(catch_up(now, ctx));
        return true;
    }
    if (now.standing.restoring) {
        TRY(restore(now, ctx));
        return true;
    }
    TRY_ASSIGN(const bool revived, revive(now, ctx));
    if (revived) {
        return true;
    }
    TRY_ASSIGN(const Seen seen, observe(now, ctx));
    const Action action = decide(now.spec.settings.policy, now.standing.state, seen);
    if (action.what != Do::nothing) {
        return act(now, action, ctx);
    }
    if (now.life.done_generation < now.life.generation && !now.standing.state.switched_at &&
        !any_slot(now.standing.state, Phase::draining)) {
        now.life.done_generation = now.life.generation;
        TRY(save(now, {make_event(now.life, "settled", {{"tag", now.spec.wanted.tag}})}));
    }
    milliseconds pause{0};
    if (action.until) {
        pause = std::max(milliseconds(1), *action.until - seen.now);
    }
    const auto at_most = [&](milliseconds limit) {
        pause = pause.count() == 0 ? limit : std::min(pause, limit);
    };
    if (any_slot(now.standing.state, Phase::draining)) {
        at_most(drain_pause);
    }
    if (!now.spec.settings.policy.gates.empty() && is_judged(now.standing.state)) {
        at_most(gate_pause);
    }
    if (pause.count() > 0) {
        parts_.timers.set(timer_of(now.life.id), pause, [this, id = now.life.id] { wake(id); });
    }
    return false;
}

Result<Sample> Reconciler::sample(const Look& now, const std::string& slot, const Context& ctx) {
    TRY_ASSIGN(const auto counts,
               parts_.edge.haproxy().counts(site_name(now.spec.app, now.spec.env), slot, ctx));
    Sample out;
    const std::int64_t by_edge =
        std::max<std::int64_t>(0, counts.failed_by_edge - now.standing.failed_before);
    out.requests = counts.window.requests;
    out.failed = std::min(out.requests, counts.window.failed_by_app + by_edge);
    out.slow = counts.window.slow;
    out.migration = migration_time(now.spec, now.standing);
    for (const auto& gate : now.spec.settings.policy.gates) {
        if (gate.query.empty()) {
            continue;
        }
        const auto value =
            checks::ask_prometheus(gate.prometheus, query_of(gate, now.spec.wanted.tag), ctx);
        TRY(ctx.ok());
        out.asked[gate.measure] =
            value ? Measured{*value} : Measured{std::nullopt, value.error().message};
    }
    return out;
}

Result<Seen> Reconciler::observe(Look& now, const Context& ctx) {
    Seen out;
    out.now = now_utc();
    const State& state = now.standing.state;
    const std::string site = site_name(now.spec.app, now.spec.env);
    for (const auto& [name, slot] : state.slots) {
        if (slot.phase == Phase::draining) {
            TRY_ASSIGN(const auto counts, parts_.edge.haproxy().counts(site, name, ctx));
            out.open += counts.open + counts.old_workers;
        }
    }
    TRY(count_workers(now, &out, ctx));
    const auto stable = now.standing.contents.find(state.stable);
    out.queues = stable != now.standing.contents.end() && !stable->second.queues.empty();
    const bool judged = is_judged(state);
    const std::string slot = slot_of(state, state.wanted);
    const auto& gates = now.spec.settings.policy.gates;
    if (judged && !slot.empty() && !gates.empty()) {
        TRY_ASSIGN(now.judged.sample, sample(now, slot, ctx));
        now.judged.findings = judge(gates, now.judged.sample);
        out.finding = worst(now.judged.findings);
    } else if (!slot.empty() && state.slots.at(slot).phase == Phase::ready) {
        now.judged.sample.migration = migration_time(now.spec, now.standing);
        now.judged.findings = judge(gates, now.judged.sample);
        std::erase_if(now.judged.findings,
                      [](const Finding& one) { return one.measure != Measure::migration; });
        out.before = worst(now.judged.findings);
    }
    return out;
}

Status Reconciler::save(Look& now, const std::vector<store::Event>& events) {
    now.life.spec = render_spec(now.spec);
    now.life.status = render_standing(now.standing);
    now.life.changed_at = now_utc();
    return parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY(writer.settle(now.life, now.life.generation));
        for (const auto& event : events) {
            TRY(writer.add_event(event));
        }
        return {};
    });
}

Result<bool> Reconciler::act(Look& now, const Action& action, const Context& ctx) {
    const std::string& slot = action.slot;
    Status done;
    switch (action.what) {
        case Do::drain: done = drain(now, ctx); break;
        case Do::resume: done = resume(now, ctx); break;
        case Do::reset: done = reset(now, ctx); break;
        case Do::start: done = start(now, slot, ctx); break;
        case Do::check: done = check(now, slot, ctx); break;
        case Do::share: done = share(now, action, ctx); break;
        case Do::promote: done = promote(now, slot, ctx); break;
        case Do::prove: done = prove(now, slot, ctx); break;
        case Do::rest: done = rest(now, slot, ctx); break;
        case Do::end: done = end_workers(now, slot, ctx); break;
        case Do::rouse: done = rouse(now, slot, ctx); break;
        case Do::close:
            done = parts_.edge.haproxy().close_sessions(site_name(now.spec.app, now.spec.env), slot,
                                                        ctx);
            if (done) {
                enter(now.standing, slot, Phase::warm);
                done = save(now, {make_event(now.life, "closed", {{"slot", slot}})});
            }
            break;
        case Do::keep_warm:
            enter(now.standing, slot, Phase::warm);
            done = save(now, {make_event(now.life, "drained", {{"slot", slot}})});
            break;
        case Do::retire: done = retire(now, slot, ctx); break;
        case Do::finish: done = finish(now, ctx); break;
        case Do::revert:
            log::warn("a gate takes a release back", {{"life", now.life.id}, {"why", action.why}});
            now.standing.failure = action.why;
            done = revert(now, action, ctx);
            break;
        case Do::stop: done = stop(now, slot, action.why); break;
        case Do::nothing: break;
    }
    TRY(std::move(done));
    return true;
}

}    // namespace seatrial::release
