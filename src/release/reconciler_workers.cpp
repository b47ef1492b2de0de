// Workers, components that no user is sent to: once users have left their release they take no more
// jobs, finish what they do, and are started again when users come back to it.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/failpoint.h"
#include "docker/containers.h"
#include "docker/events.h"
#include "release/containers.h"
#include "release/news.h"
#include "release/reconciler.h"

namespace seatrial::release {
namespace {

constexpr auto clocks_apart = std::chrono::seconds(1);    // ours and the engine's

// Those that run among a slot's workers; of a container that is not there nothing runs.
Result<std::vector<std::string>> running_workers(docker::Engine& engine, const Content& content,
                                                 const Instances& parts, const Context& ctx) {
    std::vector<std::string> out;
    for (const auto& part : content.components) {
        const auto list = parts.find(part.name);
        if (!part.worker || list == parts.end()) {
            continue;
        }
        for (const auto& one : list->second) {
            const auto seen = docker::inspect_container(engine, one.container, ctx);
            if (!seen && seen.error().code != Code::not_found) {
                return tl::unexpected(seen.error());
            }
            if (seen && seen->state == "running") {
                out.push_back(one.container);
            }
        }
    }
    return out;
}

// Who got a signal since then: a second one would end a worker in the middle of its job.
Result<std::set<std::string>> signalled(docker::Engine& engine, const std::string& life,
                                        WallTime since, const Context& ctx) {
    docker::EventsWanted wanted;
    const auto nanoseconds = [](WallTime time) {
        return std::chrono::nanoseconds(time.time_since_epoch()).count();
    };
    wanted.since_nanoseconds = nanoseconds(since - clocks_apart);
    wanted.until_nanoseconds = nanoseconds(now_utc());
    wanted.labels = {{"seatrial.life", life}};
    std::set<std::string> out;
    TRY(docker::watch_events(
        engine, wanted,
        [&](const docker::Event& event) {
            if (event.action == "kill") {
                out.insert(event.name);
            }
            return true;
        },
        ctx));
    return out;
}

}    // namespace

Status Reconciler::count_workers(const Look& now, Seen* seen, const Context& ctx) {
    for (const auto& [slot, content] : now.standing.contents) {
        const auto place = now.standing.state.slots.find(slot);
        const auto parts = now.standing.instances.find(slot);
        if (place == now.standing.state.slots.end() || parts == now.standing.instances.end() ||
            place->second.phase == Phase::serving || !has_workers(content)) {
            continue;
        }
        TRY_ASSIGN(const auto running, running_workers(parts_.engine, content, parts->second, ctx));
        seen->workers[slot] = static_cast<int>(running.size());
    }
    return {};
}

Status Reconciler::rest(Look& now, const std::string& slot, const Context& ctx) {
    Standing& standing = now.standing;
    const Content& content = standing.contents.at(slot);
    Instances& parts = standing.instances.at(slot);
    Slot& place = standing.state.slots[slot];
    std::set<std::string> asked;
    if (place.resting) {
        // Somebody died between writing it down and having asked all of them.
        TRY_ASSIGN(asked, signalled(parts_.engine, now.life.id, *place.resting, ctx));
    } else {
        place.resting = now_utc();
        place.asked = false;
        for (const auto& part : content.components) {
            const auto list = parts.find(part.name);
            if (part.worker && list != parts.end()) {
                std::ranges::for_each(list->second, [](Instance& one) { one.told = true; });
            }
        }
        TRY(save(now));
    }
    TRY(failpoint("release.rest"));
    TRY_ASSIGN(const auto running, running_workers(parts_.engine, content, parts, ctx));
    for (const auto& container : running) {
        if (asked.contains(container)) {
            continue;
        }
        TRY(signal_to_end(parts_.engine, container, ctx));
        TRY(failpoint("release.told"));
    }
    place.asked = true;
    return save(now,
                {make_event(now.life, "resting", {{"slot", slot}, {"workers", running.size()}})});
}

Status Reconciler::end_workers(Look& now, const std::string& slot, const Context& ctx) {
    TRY_ASSIGN(const auto running, running_workers(parts_.engine, now.standing.contents.at(slot),
                                                   now.standing.instances.at(slot), ctx));
    for (const auto& container : running) {
        const Status killed = docker::kill_container(parts_.engine, container, "KILL", ctx);
        if (!killed && killed.error().code != Code::conflict &&
            killed.error().code != Code::not_found) {
            return killed;
        }
        [[maybe_unused]] const auto ended = docker::wait_container(parts_.engine, container, ctx);
    }
    return save(now, {make_event(now.life, "ended", {{"slot", slot}, {"workers", running}})});
}

Status Reconciler::rouse(Look& now, const std::string& slot, const Context& ctx) {
    Standing& standing = now.standing;
    const Content& content = standing.contents.at(slot);
    TRY_ASSIGN(const auto running,
               running_workers(parts_.engine, content, standing.instances.at(slot), ctx));
    // One that still finishes its job is started again when it has: revive() sees to it.
    for (auto& [component, list] : standing.instances.at(slot)) {
        for (auto& one : list) {
            one.told = one.told && std::ranges::find(running, one.container) != running.end();
        }
    }
    TRY(start_instances(parts_.engine, content, owner_of(now, slot), &standing.instances.at(slot),
                        ctx));
    standing.state.slots[slot].resting.reset();
    standing.state.slots[slot].asked = false;
    return save(now, {make_event(now.life, "roused", {{"slot", slot}})});
}

}    // namespace seatrial::release
