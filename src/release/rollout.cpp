#include "release/rollout.h"

#include <algorithm>
#include <array>

namespace seatrial::release {
namespace {

constexpr std::array<const char*, 3> slots{"a", "b", "c"};

Action wait_until(WallTime time) {
    Action out;
    out.until = time;
    return out;
}

Action do_it(Do what, std::string slot = "", std::string why = "") {
    Action out;
    out.what = what;
    out.slot = std::move(slot);
    out.why = std::move(why);
    return out;
}

// The sooner of two waits; a real action wins over both.
Action sooner(Action a, Action b) {
    if (a.what != Do::nothing || !b.until) {
        return a;
    }
    return !a.until || *b.until < *a.until ? b : a;
}

bool has(const State& state, const std::string& name, Phase phase) {
    const auto found = state.slots.find(name);
    return found != state.slots.end() && found->second.phase == phase;
}

// What must happen to the workers of a slot that is left before anything else may; absent: nothing,
// they have ended.
std::optional<Action> rest(const Policy& policy, const State& state, const Seen& seen,
                           const std::string& name) {
    const auto running = seen.workers.find(name);
    if (running == seen.workers.end()) {
        return std::nullopt;
    }
    const Slot& slot = state.slots.at(name);
    if (!slot.resting || !slot.asked) {
        return do_it(Do::rest, name);
    }
    if (running->second == 0) {
        return std::nullopt;
    }
    const WallTime end = *slot.resting + policy.drain;
    return seen.now < end ? wait_until(end) : do_it(Do::end, name);
}

// Removes a slot, once its workers have ended.
Action retire(const Policy& policy, const State& state, const Seen& seen, const std::string& name) {
    const auto running = seen.workers.find(name);
    const bool none = running == seen.workers.end() || running->second == 0;
    return none ? do_it(Do::retire, name)
                : rest(policy, state, seen, name).value_or(do_it(Do::retire, name));
}

// A slot for a new release: an empty one, else the longest warm one makes room.
Action make_room(const Policy& policy, const State& state, const Seen& seen) {
    std::string oldest;
    for (const char* name : slots) {
        const auto found = state.slots.find(name);
        if (found == state.slots.end() || found->second.phase == Phase::empty) {
            return do_it(Do::start, name);
        }
        if (found->second.phase == Phase::warm &&
            (oldest.empty() || found->second.since < state.slots.at(oldest).since)) {
            oldest = name;
        }
    }
    if (!oldest.empty()) {
        return retire(policy, state, seen, oldest);
    }
    return {};    // a drain ends by itself and makes room then
}

// What the deciding gate asks for at `deadline`, the end of a hold or of the watch.
std::optional<Action> judged(const std::optional<Finding>& finding, const std::string& slot) {
    if (!finding || finding->verdict != Verdict::fail) {
        return std::nullopt;
    }
    switch (finding->on_breach) {
        case Breach::rollback: return do_it(Do::revert, slot, render_finding(*finding));
        case Breach::stop: return do_it(Do::stop, slot, render_finding(*finding));
        case Breach::hold: break;
    }
    return std::nullopt;
}

// A gate that fails before any user is on the release; absent: none does.
std::optional<Action> judged_early(const Policy& policy, const State& state, const Seen& seen,
                                   const std::string& slot) {
    auto breach = judged(seen.before, slot);
    if (breach || !seen.before || seen.before->verdict != Verdict::fail) {
        return breach;
    }
    const WallTime end = state.slots.at(slot).since + policy.hold;
    return seen.now < end ? wait_until(end) : do_it(Do::stop, slot, render_finding(*seen.before));
}

// A gate that fails with `hold`, or (before the switch) cannot tell, makes the step last longer,
// but not for ever. After the switch there is nothing to hold back for want of requests; a source
// that does not tell holds all the same.
Action after_step(const Policy& policy, const Seen& seen, WallTime from,
                  std::chrono::milliseconds length, const std::string& slot, const Action& next) {
    if (auto breach = judged(seen.finding, slot)) {
        return *breach;
    }
    if (seen.now < from + length) {
        return wait_until(from + length);
    }
    const bool quiet =
        seen.finding && seen.finding->verdict == Verdict::inconclusive && seen.finding->why.empty();
    if (!seen.finding || seen.finding->verdict == Verdict::pass ||
        (quiet && next.what == Do::finish)) {
        return next;
    }
    const WallTime end = from + length + policy.hold;
    if (seen.now < end) {
        return wait_until(end);
    }
    return do_it(Do::stop, slot, render_finding(*seen.finding));
}

Action canary(const Policy& policy, const State& state, const Seen& seen, const std::string& slot) {
    const int last = static_cast<int>(policy.canary.size()) - 1;
    const int next = state.step + 1;
    Action onwards = do_it(Do::promote, slot);
    if (next <= last) {
        onwards = do_it(Do::share, slot);
        onwards.per_mille = policy.canary[static_cast<std::size_t>(next)].per_mille;
        onwards.step = next;
    }
    if (state.step < 0) {
        return onwards;
    }
    const Step& step = policy.canary[static_cast<std::size_t>(std::min(state.step, last))];
    return after_step(policy, seen, state.step_since, step.hold, slot, onwards);
}

// From nowhere to stable.
Action advance(const Policy& policy, const State& state, const Seen& seen) {
    const std::string slot = slot_of(state, state.wanted);
    if (slot.empty()) {
        const Action next = make_room(policy, state, seen);
        const bool drained =
            state.drain && state.drain->over && state.drain->release == state.wanted;
        return next.what == Do::start && seen.queues && !drained ? do_it(Do::drain) : next;
    }
    switch (state.slots.at(slot).phase) {
        case Phase::starting: return do_it(Do::start, slot);
        case Phase::ready:
            return judged_early(policy, state, seen, slot).value_or(do_it(Do::check, slot));
        // Was good before: a rollback is one step.
        case Phase::warm:
        case Phase::draining:
            return do_it(state.slots.at(slot).resting ? Do::rouse : Do::promote, slot);
        default: break;
    }
    // The first release of all has nobody to compare with.
    return state.stable.empty() || policy.canary.empty() ? do_it(Do::promote, slot)
                                                         : canary(policy, state, seen, slot);
}

// What becomes of the slots that are not wanted.
Action clear_up(const Policy& policy, const State& state, const Seen& seen) {
    Action out;
    for (const auto& [name, slot] : state.slots) {
        if (name == state.stable || slot.release == state.wanted) {
            continue;
        }
        std::optional<Action> busy;
        if (slot.phase == Phase::draining || slot.phase == Phase::warm) {
            busy = rest(policy, state, seen, name);
        }
        if (busy && busy->what != Do::nothing) {
            return *busy;
        }
        Action next;
        switch (slot.phase) {
            case Phase::draining:
                if (seen.open > 0) {
                    next = seen.now < slot.since + policy.drain
                               ? wait_until(slot.since + policy.drain)
                               : do_it(Do::close, name);
                } else if (!busy) {
                    next = do_it(slot.rejected ? Do::retire : Do::keep_warm, name);
                }
                break;
            case Phase::warm:
                next = seen.now < slot.since + policy.warm ? wait_until(slot.since + policy.warm)
                                                           : retire(policy, state, seen, name);
                break;
            case Phase::empty: break;
            default: next = retire(policy, state, seen, name);    // half-made or superseded
        }
        if (next.what != Do::nothing) {
            return next;
        }
        out = sooner(sooner(out, next), busy.value_or(Action()));
    }
    return out;
}

// Queues stay paused until the release that they wait for has started, or will not.
bool needs_pause(const State& state) {
    const std::string slot = slot_of(state, state.wanted);
    return !state.stopped && state.drain->release == state.wanted &&
           (slot.empty() || state.slots.at(slot).phase == Phase::starting);
}

// What is due whatever becomes of releases; of nothing: until when it waits.
Action due(const State& state, const Seen& seen) {
    Action out;
    if (state.drain && !needs_pause(state)) {
        if (!state.drain->retry || seen.now >= *state.drain->retry) {
            return do_it(Do::resume);
        }
        out = wait_until(*state.drain->retry);
    }
    if (state.reset && has(state, state.stable, Phase::serving)) {
        if (seen.now >= *state.reset) {
            return do_it(Do::reset);
        }
        out = sooner(out, wait_until(*state.reset));
    }
    return out;
}

// All but slots that failed.
Action decide_others(const Policy& policy, const State& state, const Seen& seen) {
    if (state.stopped || state.wanted.empty()) {
        return clear_up(policy, state, seen);
    }
    const bool serves = has(state, state.stable, Phase::serving) &&
                        state.slots.at(state.stable).release == state.wanted;
    if (!serves) {
        // A superseded release in a slot goes before the wanted one needs the place.
        Action next = advance(policy, state, seen);
        if (next.what != Do::nothing) {
            return next;
        }
        return sooner(clear_up(policy, state, seen), next);
    }
    if (state.switched_at && state.proving) {
        return do_it(Do::prove, state.stable);
    }
    Action cleared = clear_up(policy, state, seen);
    if (cleared.what != Do::nothing || !state.switched_at) {
        return cleared;
    }
    return sooner(after_step(policy, seen, *state.switched_at, policy.watch, state.stable,
                             do_it(Do::finish, state.stable)),
                  cleared);
}

}    // namespace

std::string_view to_string(Phase phase) {
    static constexpr std::array<std::string_view, 8> names{
        "empty", "starting", "ready", "checked", "serving", "draining", "warm", "failed"};
    return names.at(static_cast<std::size_t>(phase));
}

std::string_view to_string(Do action) {
    static constexpr std::array<std::string_view, 18> names{
        "nothing", "drain", "resume", "reset", "start",     "check",  "share",  "promote", "prove",
        "rest",    "end",   "rouse",  "close", "keep_warm", "retire", "finish", "revert",  "stop"};
    return names.at(static_cast<std::size_t>(action));
}

std::string slot_of(const State& state, const std::string& release) {
    for (const auto& [name, slot] : state.slots) {
        if (slot.release == release && slot.phase != Phase::empty && slot.phase != Phase::failed) {
            return name;
        }
    }
    return "";
}

Action decide(const Policy& policy, const State& state, const Seen& seen) {
    Action first = due(state, seen);
    if (first.what != Do::nothing) {
        return first;
    }
    Action failed;
    for (const auto& [name, slot] : state.slots) {
        if (slot.phase != Phase::failed) {
            continue;
        }
        Action next = retire(policy, state, seen, name);
        if (next.what != Do::nothing) {
            return next;
        }
        failed = sooner(failed, next);
    }
    return sooner(sooner(decide_others(policy, state, seen), failed), first);
}

}    // namespace seatrial::release
