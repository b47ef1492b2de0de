// The end of a preview.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "log/log.h"
#include "preview/facts.h"
#include "preview/ports.h"
#include "preview/reconciler.h"
#include "preview/status.h"
#include "process/listeners.h"
#include "resource/component.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;

}    // namespace
// Destroys `refs` of the life; rows leave as things are observed gone, into the receipt. When
// nothing is left, slots and uses go too.
Status Reconciler::release(store::Life& life, const std::vector<plan::Ref>& refs,
                           const std::string& name, json& status, const Context& ctx) {
    std::vector<plan::Ref> unknown;
    plan::Graph graph = plan::make_stop_graph(refs, parts_.types, &unknown);
    graph.name = name;
    for (const auto& ref : refs) {
        if (runs_component(ref)) {
            for (const auto& [name_of, provider] : parts_.providers) {
                provider->forget(ref.name);
            }
        }
    }
    const plan::RunResult result = run(life, graph, ctx);
    json& resources = status["receipt"]["resources"];
    for (const auto& gone : result.gone) {
        resources.push_back({{"type", gone.ref.type},
                             {"place", gone.ref.place},
                             {"name", gone.ref.name},
                             {"observed", "absent"},
                             {"note", gone.removal.note},
                             {"trash_bytes", gone.removal.trash_bytes}});
    }
    TRY(failpoint("reconcile.release.before"));
    TRY(parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
        for (const auto& gone : result.gone) {
            TRY(writer.remove_owned(gone.ref.type, gone.ref.place, gone.ref.name));
        }
        set_status(life, status);
        return writer.settle(life, life.generation);
    }));
    if (result.failure) {
        return wrap(result.failure->error, result.failure->title);
    }
    if (!unknown.empty()) {
        return fail(Code::unavailable,
                    "unknown resource type " + unknown.front().type + " is left in the world",
                    "start the newer seatrial that made it");
    }
    TRY(ctx.ok());
    TRY_ASSIGN(const auto left, parts_.records.owned(life.id));
    if (!left.empty()) {
        return {};
    }
    const auto spec = parse_spec(life.spec);
    if (spec && spec->uid_slot >= 0) {
        TRY_ASSIGN(const bool idle, parts_.runner.uid_idle(spec->uid_slot));
        if (!idle) {
            return fail(Code::unavailable, "a process of this preview's user is still there");
        }
    }
    return parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
        TRY(writer.free_slots(life.id));
        return writer.remove_uses(life.id);
    });
}

Reconciler::Next Reconciler::take_down(store::Life& life, const Context& ctx) {
    json status = status_of(life);
    const auto start = now_utc();
    if (life.state != "stopping") {
        status["receipt"] = {{"resources", json::array()},
                             {"started_at", render_time(start)},
                             {"started_ms", unix_millis(start)}};
        const auto written =
            parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
                TRY(writer.add_event(
                    change_state(life, "stopping", reconciler_actor, status.value("reason", ""))));
                set_status(life, status);
                return writer.settle(life, life.generation);
            });
        if (!written) {
            return retry_later(life, "stop", written.error());
        }
    }
    const auto rows = parts_.records.owned(life.id);
    if (!rows) {
        return retry_later(life, "stop", rows.error());
    }
    if (const auto released = release(life, refs_of(*rows), "stop", status, ctx); !released) {
        return ctx.cancelled() ? Next::again : retry_later(life, "stop", released.error());
    }
    const auto end = now_utc();
    auto& receipt = status["receipt"];
    receipt["finished_at"] = render_time(end);
    receipt["elapsed_ms"] = unix_millis(end) - receipt.value("started_ms", unix_millis(end));
    std::int64_t trash = 0;
    for (const auto& item : receipt["resources"]) {
        trash += item.value("trash_bytes", std::int64_t{0});
    }
    receipt["trash_bytes"] = trash;
    status.erase("waiting");
    status.erase("active");
    status.erase("urls");
    life.done_generation = life.generation;
    const auto written =
        parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            TRY(failpoint("reconcile.removed.before"));
            TRY(writer.add_event(
                change_state(life, "removed", reconciler_actor, status.value("reason", ""))));
            set_status(life, status);
            TRY(writer.settle(life, life.generation));
            return writer.add_event(
                make_event(life, reconciler_actor, "outcome",
                           {{"result", "removed"}, {"state", "removed"}, {"receipt", receipt}}));
        });
    if (!written) {
        return retry_later(life, "stop", written.error());
    }
    const std::lock_guard lock(mutex_);
    attempts_.erase(life.id);
    return Next::idle;
}

}    // namespace seatrial::preview
