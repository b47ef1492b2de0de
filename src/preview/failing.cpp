// What becomes of a generation that failed or must wait.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "log/log.h"
#include "preview/facts.h"
#include "preview/ports.h"
#include "preview/reconciler.h"
#include "preview/status.h"
#include "process/listeners.h"
#include "resource/docker_container.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
constexpr milliseconds retry_budget{10 * 60'000};
constexpr milliseconds first_retry{500};
constexpr milliseconds longest_retry{30'000};
constexpr int port_moves = 3;

}    // namespace
Reconciler::Next Reconciler::retry_later(store::Life& life, const std::string& step,
                                         const Error& error) {
    if (error.code == Code::cancelled) {
        return Next::again;    // something newer is wanted
    }
    int attempt = 0;
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            return Next::idle;
        }
        attempt = attempts_[life.id]++;
    }
    const milliseconds delay = std::min(longest_retry, first_retry * (1 << std::min(attempt, 10)));
    // What is in `life` may have been meant for the very write that failed: only the wait is new.
    const auto recorded = parts_.records.life(life.id);
    store::Life current = recorded ? recorded->value_or(life) : life;
    json status = status_of(current);
    const auto now = now_utc();
    const auto since =
        status.contains("waiting") && status["waiting"].value("generation", 0LL) == life.generation
            ? time_of(status["waiting"]["since_ms"])
            : now;
    // What runs is not given up because nobody can look at it just now.
    const bool under_way = life.generation > life.done_generation;
    if (life.wanted && under_way && now - since > retry_budget) {
        Error last = error;
        last.code = Code::failed;
        last.message = "gave up after " + render_duration(retry_budget) + ": " + last.message;
        return fail_generation(life, step, step, last, true);
    }
    status["waiting"] = {{"step", step},
                         {"message", render_error(error)},
                         {"generation", life.generation},
                         {"since_ms", unix_millis(since)},
                         {"retry_at", render_time(now + delay)}};
    set_status(current, status);
    log::warn("will try again", error, {{"life", life.id}, {"step", step}, {"ms", delay.count()}});
    const auto written =
        parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
            TRY(writer.settle(current, life.generation));
            return writer.add_event(
                make_event(current, reconciler_actor, "waiting", status["waiting"]));
        });
    if (!written) {
        log::warn("waiting could not be recorded", written.error(), {{"life", life.id}});
    }
    parts_.timers.set("retry:" + life.id, delay, [this, id = life.id] { wake(id); });
    return Next::idle;
}

Reconciler::Next Reconciler::fail_generation(store::Life& life, const std::string& step,
                                             const std::string& title, const Error& error,
                                             bool disturbed) {
    json status = status_of(life);
    json failure = error_json(error);
    failure["step"] = step;
    failure["title"] = title;
    failure["generation"] = life.generation;
    failure["at"] = render_time(now_utc());
    const bool first = !status.contains("active");
    status.erase("waiting");
    life.done_generation = life.generation;
    std::string result = "failed";
    if (!first && !disturbed) {
        // Nothing of the running one was touched: it goes on serving under its own spec.
        status["operation"] = {{"kind", "update"}, {"state", "failed"}, {"failure", failure}};
        life.spec = status["active"].get<std::string>();
        result = "kept";
    } else {
        status["failure"] = failure;
        status.erase("operation");
        status.erase("urls");
    }
    if (const auto point = failpoint("reconcile.failed.before"); !point) {
        return retry_later(life, step, point.error());
    }
    const auto written =
        parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            set_status(life, status);
            if (result == "failed" && life.state != "failed") {
                TRY(writer.add_event(change_state(life, "failed", reconciler_actor, title)));
            }
            TRY(writer.settle(life, life.generation));
            return writer.add_event(make_event(life, reconciler_actor, "outcome",
                                               {{"result", result}, {"failure", failure}}));
        });
    if (!written) {
        return retry_later(life, step, written.error());
    }
    return Next::again;
}

// What failed keeps its log. After a failed first start everything else goes; after a failed
// update the processes go, database and tree stay.
Reconciler::Next Reconciler::settle_failed(store::Life& life, const Context& ctx) {
    json status = status_of(life);
    const auto spec = parse_spec(life.spec);
    const bool first = !status.contains("active");
    const auto rows = parts_.records.owned(life.id);
    if (!rows) {
        return retry_later(life, "clean up", rows.error());
    }
    if (first && spec && spec->keep_failed_ms > 0 && status.contains("failure")) {
        const auto failed_at = parse_time(status["failure"].value("at", ""));
        const auto left =
            failed_at.value_or(now_utc()) + milliseconds(spec->keep_failed_ms) - now_utc();
        if (left > milliseconds(0)) {
            parts_.timers.set("release:" + life.id, left, [this, id = life.id] { wake(id); });
            return Next::idle;
        }
    }
    std::vector<plan::Ref> refs;
    for (const auto& row : *rows) {
        const plan::Ref ref{row.type, row.place, row.name};
        // A migration that took too long may still be at work.
        if (first || runs_component(ref) || ref.type == resource::docker_task_type) {
            refs.push_back(ref);
        }
    }
    if (refs.empty()) {
        return Next::idle;
    }
    const auto released = release(life, refs, "release", status, ctx);
    if (!released && !ctx.cancelled()) {
        return retry_later(life, "clean up", released.error());
    }
    return released ? Next::idle : Next::again;
}

// A stranger took a port between choice and start: take another slot and plan again.
bool Reconciler::move_ports(store::Life& life, const Error& error) {
    json status = status_of(life);
    const int moves = status.value("port_moves", 0);
    auto spec = parse_spec(life.spec);
    if (moves >= port_moves || !spec) {
        return false;
    }
    auto app = app_of(*spec);
    const auto listeners = process::tcp_listeners();
    if (!app || !listeners) {
        return false;
    }
    status["port_moves"] = moves + 1;
    log::warn("moving to another port slot", error, {{"life", life.id}});
    const auto written =
        parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            std::set<int> taken;
            for (const auto& listener : *listeners) {
                taken.insert(listener.port);
            }
            TRY_ASSIGN(const auto slots, parts_.records.slots("port", "host"));
            for (const auto& slot : slots) {
                taken.insert(static_cast<int>(slot.number));
            }
            // The first address counts: a second move is still one for who knew it.
            json moved = status.value("moved", json{{"from", spec->ports}});
            spec->ports.clear();
            TRY(choose_ports(*app, *parts_.config.get(), taken, spec->ports));
            TRY(writer.free_ports(life.id));
            for (const auto& [component, port] : spec->ports) {
                TRY(writer.take_slot({"port", "host", port, life.id, component}));
            }
            moved["to"] = spec->ports;
            moved["reason"] = error.message;
            moved["at"] = render_time(now_utc());
            if (status.contains("active")) {    // else nobody was given an address yet
                status["moved"] = std::move(moved);
            }
            set_status(life, status);
            life.spec = render_spec(*spec);
            TRY(writer.settle(life, life.generation));
            return writer.add_event(
                make_event(life, reconciler_actor, "ports",
                           {{"reason", error.message}, {"ports", spec->ports}}));
        });
    return written.has_value();
}

}    // namespace seatrial::preview
