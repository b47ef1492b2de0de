// Queues around the start of a release: paused, waited for, and resumed whatever becomes of it.
// That they are to be resumed is written down before the first of them is paused.
#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/failpoint.h"
#include "docker/containers.h"
#include "release/news.h"
#include "release/queues.h"
#include "release/reconciler.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds again_pause{2000};
constexpr milliseconds tell_pause{1000};    // between two events with counts
constexpr milliseconds spare{120'000};      // beside what starting a release may take at most
constexpr milliseconds end_patience{1000};
constexpr int most_resets = 5;

bool is_end(const Error& error) {
    return error.code == Code::cancelled;
}

// Of a component of a slot, "" = the first with a port; absent when it has none.
std::optional<Place> place_of(const Standing& standing, const std::string& slot,
                              const std::string& component) {
    const auto content = standing.contents.find(slot);
    const auto instances = standing.instances.find(slot);
    if (content == standing.contents.end() || instances == standing.instances.end()) {
        return std::nullopt;
    }
    for (const auto& part : content->second.components) {
        const auto list = instances->second.find(part.name);
        if (list == instances->second.end() || list->second.empty() ||
            (component.empty() ? part.worker : part.name != component)) {
            continue;
        }
        const Instance& one = list->second.front();
        return Place{one.container, one.server.port == 0 ? ""
                                                         : "http://" + one.server.address + ":" +
                                                               std::to_string(one.server.port)};
    }
    return std::nullopt;
}

// What is told to a container that has just ended says nothing about its queue: it is started
// again, and told then.
Status check_still_runs(docker::Engine& engine, const std::string& container, const Context& ctx) {
    // What ran in it is killed a moment before the engine calls it ended.
    const auto ended = docker::wait_container(engine, container, ctx.with_timeout(end_patience));
    TRY(ctx.ok());
    if (!ended && ended.error().code == Code::timed_out) {
        return {};
    }
    return fail(Code::unavailable,
                "a container that tells of queues has ended, it is started again");
}

// However a release's start ends, it does within this time.
milliseconds longest_pause(const Paused& paused, const Content& content) {
    milliseconds out = spare + content.migration.timeout;
    milliseconds health{0};
    for (const auto& part : content.components) {
        health = std::max(health, part.health_timeout);
    }
    milliseconds wait{0};
    for (const auto& queue : paused.queues) {
        wait = std::max(wait, queue.timeout);
    }
    return out + health + wait;
}

Error about(const config::ReleaseQueue& queue, const char* what, Error error) {
    error.message = "the queue '" + queue.name + "' " + what + ": " + error.message;
    error.code = Code::failed;
    return error;
}

}    // namespace

// Absent: the deploy was given up.
Result<bool> Reconciler::pause_queues(Look& now, const Context& ctx) {
    Standing& standing = now.standing;
    Paused& paused = *standing.paused;
    for (const auto& queue : paused.queues) {
        const auto place = place_of(standing, paused.slot, queue.component);
        Status done = place ? Status()
                            : fail(Code::failed, "the release that serves has no component '" +
                                                     queue.component + "'");
        if (done && !paused.takers.contains(queue.name)) {
            auto takers = find_takers(parts_.engine, queue, *place, ctx);
            if (takers) {
                paused.takers[queue.name] = std::move(*takers);
                TRY(save(now));    // who may be told to go on, before anybody is told to stop
            } else {
                done = tl::unexpected(takers.error());
            }
        }
        TRY(failpoint("release.pausing"));
        if (done) {
            done = pause_queue(parts_.engine, queue, paused.takers[queue.name], *place,
                               longest_pause(paused, now.spec.wanted), ctx);
        }
        if (done) {
            continue;
        }
        if (is_end(done.error())) {
            return tl::unexpected(done.error());
        }
        TRY(place ? check_still_runs(parts_.engine, place->container, ctx) : Status());
        const Error error = about(queue, "cannot be paused", done.error());
        if (queue.stop) {
            TRY(give_up(now, "", error));
            return false;
        }
        paused.left[queue.name] = -1;
        TRY(save(now, {make_event(now.life, "queues_left",
                                  {{"queue", queue.name}, {"message", render_error(error)}})}));
    }
    return true;
}

Status Reconciler::tell_running(const Look& now, const std::map<std::string, int>& running) {
    return parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) {
        return writer.add_event(make_event(now.life, "queues_running", {{"running", running}}));
    });
}

// Side by side, each for its own time.
std::map<std::string, QueueWait> Reconciler::watch_queues(const Look& now, const Context& ctx) {
    const Paused& paused = *now.standing.paused;
    std::mutex mutex;
    std::map<std::string, int> running, told;
    std::chrono::steady_clock::time_point told_at{};
    std::map<std::string, QueueWait> waits;
    for (const auto& queue : paused.queues) {
        if (!paused.left.contains(queue.name)) {
            waits[queue.name];
        }
    }
    const auto count = [&](const std::string& name, int seen) {
        const std::lock_guard lock(mutex);
        QueueWait& wait = waits[name];
        wait.first = wait.first < 0 ? seen : wait.first;
        running[name] = seen;
        const auto time = std::chrono::steady_clock::now();
        // All are told together, and not more often than one can read.
        if (running.size() == waits.size() && running != told && time - told_at > tell_pause) {
            told = running;
            told_at = time;
            [[maybe_unused]] const Status written = tell_running(now, running);
        }
    };
    {
        std::vector<std::jthread> threads;
        for (const auto& queue : paused.queues) {
            if (paused.left.contains(queue.name)) {
                continue;
            }
            threads.emplace_back([&, wait = &waits[queue.name]] {
                const auto place = place_of(now.standing, paused.slot, queue.component);
                const auto left = std::max(milliseconds(1000), now.standing.state.drain->since +
                                                                   queue.timeout - now_utc());
                const auto ended = await_queue(
                    parts_.engine, queue, paused.takers.at(queue.name), *place, left,
                    [&](int seen) { count(queue.name, seen); }, ctx);
                wait->left = ended.value_or(-1);
                wait->done = ended ? Status() : tl::unexpected(ended.error());
            });
        }
    }
    return waits;
}

Status Reconciler::await_queues(Look& now, const Context& ctx) {
    auto waits = watch_queues(now, ctx);
    TRY(ctx.ok());
    const Paused& paused = *now.standing.paused;
    Paused& result = *now.standing.paused;
    for (const auto& queue : paused.queues) {
        const auto wait = waits.find(queue.name);
        if (wait == waits.end()) {
            continue;
        }
        result.ran[queue.name] = std::max(0, wait->second.first);
        Status done = wait->second.done;
        if (done && wait->second.left == 0) {
            continue;
        }
        if (!done && is_end(done.error())) {
            return done;
        }
        const auto place = place_of(now.standing, paused.slot, queue.component);
        TRY(done ? Status() : check_still_runs(parts_.engine, place->container, ctx));
        result.left[queue.name] = wait->second.left;
        const Error error =
            done ? Error{Code::failed,
                         "the queue '" + queue.name + "' still ran " +
                             std::to_string(wait->second.left) + " after " +
                             render_duration(queue.timeout),
                         "give it more time with release.queues." + queue.name +
                             ".timeout, or let the deploy go on with `on_timeout: go_on`",
                         "", nullptr}
                 : about(queue, "cannot be asked what runs", done.error());
        if (queue.stop) {
            return give_up(now, "", error);
        }
        TRY(save(now, {make_event(now.life, "queues_left",
                                  {{"queue", queue.name}, {"message", render_error(error)}})}));
    }
    now.standing.state.drain->over = true;
    return save(now, {make_event(now.life, "queues_idle",
                                 {{"ran", result.ran},
                                  {"left", result.left},
                                  {"ms", (now_utc() - now.standing.state.drain->since).count()}})});
}

Status Reconciler::drain(Look& now, const Context& ctx) {
    Standing& standing = now.standing;
    State& state = standing.state;
    if (!state.drain || state.drain->release != state.wanted) {
        const std::string& slot = state.stable;
        state.drain = Drain{state.wanted, now_utc(), false, std::nullopt};
        if (!standing.paused) {
            standing.paused =
                Paused{slot, now_utc(), standing.contents.at(slot).queues, {}, {}, {}};
        }
        std::vector<std::string> names;
        for (const auto& queue : standing.paused->queues) {
            names.push_back(queue.name);
        }
        TRY(save(now, {make_event(now.life, "queues_pausing", {{"queues", names}})}));
    }
    TRY(failpoint("release.pause_named"));
    TRY_ASSIGN(const bool goes_on, pause_queues(now, ctx));
    if (!goes_on) {
        return {};
    }
    TRY(failpoint("release.paused"));
    TRY(await_queues(now, ctx));
    return failpoint("release.drained");
}

// In the release that users are on, else in any that knows the component: it may be gone by now.
Status Reconciler::resume_one(const Look& now, const config::ReleaseQueue& queue,
                              const Context& ctx) {
    const Standing& standing = now.standing;
    std::vector<std::string> slots{standing.state.stable, standing.paused->slot};
    for (const auto& [slot, parts] : standing.instances) {
        slots.push_back(slot);
    }
    const auto takers = standing.paused->takers.find(queue.name);
    Status done = fail(Code::failed, "no container of '" + queue.component + "' runs");
    for (const auto& slot : slots) {
        const auto place = place_of(standing, slot, queue.component);
        if (!place) {
            continue;
        }
        done = resume_queue(parts_.engine, queue,
                            takers == standing.paused->takers.end() ? Takers() : takers->second,
                            *place, ctx);
        if (done || is_end(done.error())) {
            return done;
        }
    }
    return tl::unexpected(about(queue, "cannot be resumed", done.error()));
}

// A fault holds nobody up: users may be moved meanwhile, and it is tried again.
Status Reconciler::resume(Look& now, const Context& ctx) {
    Standing& standing = now.standing;
    std::optional<Error> fault;
    const std::vector<config::ReleaseQueue> queues =
        standing.paused ? standing.paused->queues : std::vector<config::ReleaseQueue>();
    for (const auto& queue : queues) {
        const Status done = resume_one(now, queue, ctx);
        if (!done && is_end(done.error())) {
            return done;
        }
        fault = done ? fault : std::optional(done.error());
    }
    TRY(failpoint("release.resumed"));
    if (fault) {
        const bool first = !standing.state.drain->retry;
        standing.state.drain->retry = now_utc() + again_pause;
        std::vector<store::Event> events;
        if (first) {
            events.push_back(
                make_event(now.life, "queues_stuck", {{"message", render_error(*fault)}}));
        }
        return save(now, events);
    }
    json data = json::object();
    if (standing.paused) {
        data = {{"ms", (now_utc() - standing.paused->since).count()},
                {"ran", standing.paused->ran},
                {"left", standing.paused->left}};
    }
    standing.queue_report = data.dump();
    standing.state.drain.reset();
    standing.paused.reset();
    return save(now, {make_event(now.life, "queues_resumed", data)});
}

Status Reconciler::reset(Look& now, const Context& ctx) {
    Standing& standing = now.standing;
    const Content& content = standing.contents.at(standing.state.stable);
    const auto place = place_of(standing, standing.state.stable, content.cache.component);
    Result<int> dropped = 0;
    if (!place) {
        dropped = fail(Code::failed, "there is no component '" + content.cache.component + "'");
    } else {
        dropped = reset_cache(parts_.engine, content.cache, *place, ctx);
    }
    if (!dropped && is_end(dropped.error())) {
        return tl::unexpected(dropped.error());
    }
    if (!dropped && ++standing.state.resets < most_resets) {
        standing.state.reset = now_utc() + again_pause;
        return save(now);
    }
    standing.state.reset.reset();
    standing.state.resets = 0;
    if (!dropped) {
        return save(now, {make_event(now.life, "cache_kept",
                                     {{"message", render_error(dropped.error())}})});
    }
    return save(now, {make_event(now.life, "cache_reset",
                                 {{"keys", *dropped}, {"prefixes", content.cache.prefixes}})});
}

}    // namespace seatrial::release
