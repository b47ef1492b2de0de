// Containers that ended by themselves: of a release on trial they count against it, others are
// started again.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "docker/containers.h"
#include "release/containers.h"
#include "release/news.h"
#include "release/reconciler.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

// Once may be the machine's fault, or somebody's hand.
constexpr int forgiven_deaths = 1;

enum class Stand { fine, moved, gone };    // moved: runs at another address than we know

bool is_worker(const Content& content, const std::string& component) {
    return std::ranges::any_of(content.components, [&](const Component& part) {
        return part.name == component && part.worker;
    });
}

// Workers that were told to end and have ended are not told any more: they shall run again. Says
// whether there are any.
Result<bool> forget_ended(docker::Engine& engine, Instances* parts, const Context& ctx) {
    bool any = false;
    for (auto& [component, list] : *parts) {
        for (auto& one : list) {
            if (!one.told) {
                continue;
            }
            const auto seen = docker::inspect_container(engine, one.container, ctx);
            if (!seen && seen.error().code != Code::not_found) {
                return tl::unexpected(seen.error());
            }
            one.told = seen && seen->state == "running";
            any = any || !one.told;
        }
    }
    return any;
}

// Asked one by one: a list may be older than the event that told of an end.
Result<Stand> stand_of(docker::Engine& engine, const Content& content, const Instances& parts,
                       const Context& ctx) {
    Stand out = Stand::fine;
    for (const auto& [component, list] : parts) {
        for (const auto& one : list) {
            const bool worker = is_worker(content, component);
            if (one.told || (one.server.port == 0 && !worker)) {
                continue;
            }
            const auto seen = docker::inspect_container(engine, one.container, ctx);
            if (!seen && seen.error().code != Code::not_found) {
                return tl::unexpected(seen.error());
            }
            if (!seen || seen->state != "running") {
                return Stand::gone;
            }
            if (!worker && std::none_of(seen->addresses.begin(), seen->addresses.end(),
                                        [&](const auto& address) {
                                            return address.second == one.server.address;
                                        })) {
                out = Stand::moved;
            }
        }
    }
    return out;
}

// A container may come back at another address; what is open to the one before is dead.
Status close_moved(edge::Haproxy& edge, const std::string& site, const std::string& slot,
                   const Instances& before, const Instances& after, const Context& ctx) {
    for (const auto& [component, list] : after) {
        for (std::size_t i = 0; i < list.size(); ++i) {
            const edge::Server& dead = before.at(component).at(i).server;
            if (dead.port != 0 && dead != list[i].server) {
                TRY(edge.close_dead(site, slot, dead, ctx));
            }
        }
    }
    return {};
}

// Wanted, and not proved yet: it does not serve, or its gates still watch.
bool on_trial(const State& state, const std::string& slot) {
    return state.slots.at(slot).release == state.wanted && !state.stopped &&
           (slot != state.stable || state.switched_at);
}

}    // namespace

Result<bool> Reconciler::revive(Look& now, const Context& ctx) {
    State& state = now.standing.state;
    for (auto& [slot, parts] : now.standing.instances) {
        Slot& place = state.slots[slot];
        if (place.phase == Phase::starting || place.phase == Phase::failed ||
            place.phase == Phase::empty) {
            continue;
        }
        bool again = false;
        if (!place.resting) {
            TRY_ASSIGN(again, forget_ended(parts_.engine, &parts, ctx));
        }
        const Content& content = now.standing.contents.at(slot);
        TRY_ASSIGN(const Stand stand, stand_of(parts_.engine, content, parts, ctx));
        if (stand == Stand::fine) {
            continue;
        }
        const bool trial = on_trial(state, slot);
        if (trial && !again && stand == Stand::gone && ++place.deaths > forgiven_deaths) {
            TRY(reject(now, slot, Error{Code::failed, "it ended again and again", "", "", nullptr},
                       ctx));
            return true;
        }
        const auto before = parts;
        Status up = start_instances(parts_.engine, content, owner_of(now, slot), &parts, ctx);
        if (up) {
            up = await_health(parts_.engine, content, parts, ctx);
        }
        if (up) {
            TRY(close_moved(parts_.edge.haproxy(), site_name(now.spec.app, now.spec.env), slot,
                            before, parts, ctx));
            now.standing.due = Due{"revived", json{{"slot", slot}}.dump()};
            TRY(save(now));
            TRY(catch_up(now, ctx));
            return true;
        }
        if (is_passing(up.error())) {
            return tl::unexpected(std::move(up).error());
        }
        if (trial) {
            TRY(reject(now, slot, up.error(), ctx));
            return true;
        }
        if (slot == state.stable) {
            // Users need it: tried again, with containers made anew. One that was started again
            // can be out of reach for good: an engine that was killed leaves parts of its network.
            TRY(remove_instances(parts_.engine, parts, owner_of(now, slot).network, ctx));
            return tl::unexpected(std::move(up).error());
        }
        // Nobody is on it, and it must not be in the way of others.
        enter(now.standing, slot, Phase::failed);
        TRY(save(now, {make_event(now.life, "lost",
                                  {{"slot", slot},
                                   {"tag", content.tag},
                                   {"message", render_error(up.error())}})}));
        return true;
    }
    return false;
}

// A release on trial failed by itself.
Status Reconciler::reject(Look& now, const std::string& slot, const Error& error,
                          const Context& ctx) {
    const State& state = now.standing.state;
    if (slot != state.stable && state.step < 0) {
        return give_up(now, slot, error);
    }
    Action action;
    action.what = Do::revert;
    action.slot = slot;
    action.why = render_error(error);
    return revert(now, action, ctx);
}

}    // namespace seatrial::release
