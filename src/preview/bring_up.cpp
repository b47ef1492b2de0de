// What brings a generation up.
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
using std::chrono::milliseconds;
constexpr milliseconds progress_pace{200};

}    // namespace
Result<plan::Graph> Reconciler::make_graph(store::Life& life, Spec& spec, const config::App& app,
                                           const Context& ctx) {
    TRY(failpoint("reconcile.facts.before"));
    TRY(find_facts(spec, app, parts_, ctx));
    choose_names(spec, app, parts_.instance);
    TRY_ASSIGN(const Provider* const provider, provider_of(parts_, spec));
    TRY_ASSIGN(const auto rows, parts_.records.owned(life.id));
    World world;
    world.owned = refs_of(rows);
    std::ranges::sort(world.owned, std::greater<>(), [&](const plan::Ref& ref) {
        const plan::Type* type = parts_.types.find(ref.type);
        return type == nullptr ? 0 : type->traits().rank;
    });
    for (const plan::Ref& ref : world.owned) {
        plan::Type* type = parts_.types.find(ref.type);
        if (type == nullptr || !runs_component(ref)) {
            continue;
        }
        TRY_ASSIGN(auto seen, type->observe(ref, ctx));
        if (seen.presence != plan::Presence::absent) {
            world.seen.emplace(ref, std::move(seen));
        }
    }
    return provider->make_plan(spec, app, world);
}

// One transaction: the final spec and every ref the plan may bring about, before any effect.
Status Reconciler::journal(store::Life& life, const Spec& spec, plan::Graph& graph) {
    life.spec = render_spec(spec);
    TRY(failpoint("reconcile.journal.before"));
    TRY(parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        std::int64_t order = 0;
        for (plan::Node& node : graph.nodes) {
            const plan::Type* type = parts_.types.find(node.ref.type);
            if (node.op != plan::Op::ensure || type == nullptr || !type->traits().owned) {
                continue;
            }
            const bool shared = type->traits().shared;
            const store::Owned row{shared ? "" : life.id, ++order, node.ref.type, node.ref.place,
                                   node.ref.name};
            bool fresh = false;
            TRY(writer.add_owned(row, &fresh));
            node.fresh = fresh && !shared;
            if (shared) {
                TRY(writer.add_use(life.id, row));
            }
        }
        return writer.settle(life, life.generation);
    }));
    return failpoint("reconcile.journal.after");
}

plan::RunResult Reconciler::run(const store::Life& life, const plan::Graph& graph,
                                const Context& ctx) {
    std::map<std::string, std::chrono::steady_clock::time_point> told;
    return plan::run_graph(
        graph, parts_.types, parts_.nodes,
        [&](const plan::StepNews& news) {
            if (news.kind == plan::StepNews::Kind::progress) {
                auto& last = told[news.node->id];
                const auto now = std::chrono::steady_clock::now();
                if (now - last < progress_pace) {
                    return;
                }
                last = now;
            }
            json data = {{"node", news.node->id},
                         {"title", news.node->title},
                         {"state", plan::to_string(news.kind)},
                         {"ms", news.elapsed.count()}};
            if (!news.line.empty()) {
                data["line"] = news.line;
            }
            if (news.error != nullptr && !news.error->hint.empty()) {
                data["hint"] = news.error->hint;
            }
            const auto written =
                parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) {
                    return writer.add_event(make_event(life, reconciler_actor, "step", data));
                });
            if (!written) {    // progress is never needed to be right
                log::warn("a step could not be recorded", written.error(), {{"life", life.id}});
            }
        },
        ctx);
}

Reconciler::Next Reconciler::bring_up(store::Life& life, const Context& ctx) {
    auto spec = parse_spec(life.spec);
    if (!spec) {
        log::error("a preview's record cannot be used", spec.error(), {{"life", life.id}});
        return Next::idle;
    }
    auto app = app_of(*spec);
    if (!app) {
        return fail_generation(life, "check", "read seatrial.yaml", app.error(), false);
    }
    auto graph = make_graph(life, *spec, *app, ctx);
    if (!graph) {
        if (graph.error().code == Code::cancelled) {
            return Next::again;
        }
        return worlds_fault(graph.error())
                   ? retry_later(life, "prepare", graph.error())
                   : fail_generation(life, "prepare", "prepare", graph.error(), false);
    }
    if (const auto written = journal(life, *spec, *graph); !written) {
        return retry_later(life, "journal", written.error());
    }
    const plan::RunResult result = run(life, *graph, ctx);
    if (!result.failure) {
        if (ctx.cancelled()) {
            return Next::again;
        }
        return succeed(life, *spec, *app, *graph, result);
    }
    if (ctx.cancelled()) {
        return Next::again;
    }
    const Error& error = result.failure->error;
    if (error.code == Code::conflict && error.mark.starts_with("port:") &&
        move_ports(life, error)) {
        return Next::again;
    }
    if (worlds_fault(error)) {
        return retry_later(life, result.failure->title, error);
    }
    bool disturbed = false;
    for (const auto& gone : result.gone) {
        disturbed = disturbed || runs_component(gone.ref);
    }
    const json status = status_of(life);
    disturbed = disturbed || !status.contains("active") || life.state != "running";
    return fail_generation(life, result.failure->id, result.failure->title, error, disturbed);
}

Reconciler::Next Reconciler::succeed(store::Life& life, const Spec& spec, const config::App& app,
                                     const plan::Graph& graph, const plan::RunResult& result) {
    json status = status_of(life);
    for (const char* past : {"failure", "waiting", "operation"}) {
        status.erase(past);
    }
    status["urls"] = urls_of(spec, app);
    status["active"] = render_spec(spec);
    if (const auto provider = provider_of(parts_, spec)) {
        status["isolation"] = (*provider)->isolation();
    }
    status["timings"] = {{"total_ms", result.elapsed.count()},
                         {"critical_path_ms", result.critical_path.count()}};
    life.done_generation = life.generation;
    if (graph.name != "up" || life.state != "running") {
        life.changed_at = now_utc();
    }
    const auto watched = watch_components(life, spec);
    if (const auto point = failpoint("reconcile.done.before"); !point) {
        return retry_later(life, "record", point.error());
    }
    const auto written =
        parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            for (const auto& gone : result.gone) {
                const bool named = std::ranges::any_of(graph.nodes, [&](const plan::Node& node) {
                    return node.op == plan::Op::ensure && node.ref == gone.ref;
                });
                if (!named) {
                    TRY(writer.remove_owned(gone.ref.type, gone.ref.place, gone.ref.name));
                }
            }
            if (life.state != "running") {
                auto event = change_state(life, "running", reconciler_actor, "");
                TRY(writer.add_event(std::move(event)));
            }
            set_status(life, status);
            TRY(writer.settle(life, life.generation));
            return writer.add_event(make_event(life, reconciler_actor, "outcome",
                                               {{"result", "running"},
                                                {"operation", graph.name},
                                                {"urls", status["urls"]},
                                                {"commit", spec.commit},
                                                {"timings", status["timings"]}}));
        });
    if (!written) {
        return retry_later(life, "record", written.error());
    }
    const std::lock_guard lock(mutex_);
    attempts_.erase(life.id);
    // A component that ended between its health check and the watch is looked at now.
    return watched ? Next::idle : Next::again;
}

}    // namespace seatrial::preview
