#include "preview/reconciler.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "log/log.h"
#include "preview/facts.h"
#include "preview/ports.h"
#include "preview/status.h"
#include "process/listeners.h"
#include "resource/component.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

const std::string actor = "reconciler";
constexpr milliseconds retry_budget{10 * 60'000};
constexpr milliseconds first_retry{500};
constexpr milliseconds longest_retry{30'000};
constexpr milliseconds restart_window{5 * 60'000};
constexpr std::size_t restart_limit = 3;
constexpr milliseconds progress_pace{200};
constexpr int port_moves = 3;

bool worlds_fault(const Error& error) {
    return error.code == Code::unavailable;
}

std::vector<plan::Ref> refs_of(const std::vector<store::Owned>& rows) {
    std::vector<plan::Ref> refs;
    for (const auto& row : rows) {
        refs.push_back({row.type, row.place, row.name});
    }
    return refs;
}

WallTime time_of(const json& value) {
    return WallTime(milliseconds(value.get<std::int64_t>()));
}

std::int64_t stamp(WallTime time) {
    return time.time_since_epoch().count();
}

}    // namespace

Reconciler::Reconciler(Parts parts)
    : parts_(std::move(parts)), watcher_([this](const std::string& life) { wake(life); }) {}

void Reconciler::shutdown() {
    stop_.cancel();
    std::unique_lock lock(mutex_);
    stopping_ = true;
    quiet_.wait(lock, [&] { return running_.empty() && queued_.empty(); });
}

Status Reconciler::wake_all() {
    TRY_ASSIGN(const auto ids, parts_.records.unfinished());
    for (const auto& id : ids) {
        wake(id);
    }
    return {};
}

void Reconciler::wake(const std::string& life) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || !queued_.insert(life).second) {
            return;    // a look that has not begun yet will see the change
        }
    }
    parts_.subjects.submit({[this, life] { look(life); }, "", life});
}

void Reconciler::supersede(const std::string& life) {
    {
        const std::lock_guard lock(mutex_);
        attempts_.erase(life);
        const auto found = running_.find(life);
        if (found != running_.end()) {
            found->second.cancel();
        }
    }
    wake(life);
}

void Reconciler::look(const std::string& id) {
    Next next = Next::again;
    while (next == Next::again) {
        Context ctx;
        {
            const std::lock_guard lock(mutex_);
            queued_.erase(id);
            if (stopping_) {
                next = Next::idle;
                running_.erase(id);
                quiet_.notify_all();
                return;
            }
            running_.erase(id);
            ctx = running_.emplace(id, CancelSource(stop_.context())).first->second.context();
        }
        auto life = parts_.records.life(id);
        if (!life) {
            log::error("records cannot be read", life.error(), {{"life", id}});
            next = Next::idle;
        } else if (!*life || (*life)->state == "removed") {
            next = Next::idle;
        } else {
            next = close_difference(**life, ctx);
        }
    }
    const std::lock_guard lock(mutex_);
    running_.erase(id);
    quiet_.notify_all();
}

Reconciler::Next Reconciler::close_difference(store::Life& life, const Context& ctx) {
    if (!life.wanted) {
        return take_down(life, ctx);
    }
    if (life.generation > life.done_generation) {
        return bring_up(life, ctx);
    }
    if (life.state == "failed") {
        return settle_failed(life, ctx);
    }
    return life.state == "running" ? supervise(life) : Next::idle;
}

// --- bringing up -------------------------------------------------------------------------

Result<plan::Graph> Reconciler::make_graph(store::Life& life, Spec& spec, const config::App& app,
                                           const Context& ctx) {
    TRY(failpoint("reconcile.facts.before"));
    TRY(find_facts(spec, app, parts_, ctx));
    choose_names(spec, app, parts_.instance);
    TRY_ASSIGN(const auto rows, parts_.records.owned(life.id));
    local::World world;
    world.owned = refs_of(rows);
    for (const plan::Ref& ref : world.owned) {
        plan::Type* type = parts_.types.find(ref.type);
        if (type == nullptr || ref.type != "process") {
            continue;
        }
        TRY_ASSIGN(auto seen, type->observe(ref, ctx));
        if (seen.presence != plan::Presence::absent) {
            world.seen.emplace(ref, std::move(seen));
        }
    }
    return local::make_plan(spec, app, parts_.layout, world);
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
        return writer.put_life(life);
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
                    return writer.add_event(make_event(life, actor, "step", data));
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
    if (error.code == Code::conflict && error.field.starts_with("port:") &&
        move_ports(life, error)) {
        return Next::again;
    }
    if (worlds_fault(error)) {
        return retry_later(life, result.failure->title, error);
    }
    bool disturbed = false;
    for (const auto& gone : result.gone) {
        disturbed = disturbed || gone.ref.type == "process";
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
    const process::Isolation isolation = parts_.runner.isolation();
    status["isolation"] = {{"level", isolation.level},
                           {"own_uid", isolation.own_uid},
                           {"cgroup", isolation.cgroup},
                           {"seccomp", isolation.seccomp},
                           {"landlock_abi", isolation.landlock_abi},
                           {"missing", isolation.missing}};
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
                auto event = change_state(life, "running", actor, "");
                TRY(writer.add_event(std::move(event)));
            }
            set_status(life, status);
            TRY(writer.put_life(life));
            return writer.add_event(make_event(life, actor, "outcome",
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

Reconciler::Next Reconciler::retry_later(store::Life& life, const std::string& step,
                                         const Error& error) {
    int attempt = 0;
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            return Next::idle;
        }
        attempt = attempts_[life.id]++;
    }
    const milliseconds delay = std::min(longest_retry, first_retry * (1 << std::min(attempt, 10)));
    json status = status_of(life);
    const auto now = now_utc();
    const auto since =
        status.contains("waiting") && status["waiting"].value("generation", 0LL) == life.generation
            ? time_of(status["waiting"]["since_ms"])
            : now;
    if (life.wanted && now - since > retry_budget) {
        Error last = error;
        last.code = Code::failed;
        last.message = "gave up after " + render_duration(retry_budget) + ": " + last.message;
        return fail_generation(life, step, step, last, true);
    }
    status["waiting"] = {{"step", step},
                         {"message", render_error(error)},
                         {"generation", life.generation},
                         {"since_ms", stamp(since)},
                         {"retry_at", render_time(now + delay)}};
    set_status(life, status);
    log::warn("will try again", error, {{"life", life.id}, {"step", step}, {"ms", delay.count()}});
    const auto written =
        parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
            TRY_ASSIGN(auto current, writer.life(life.id));
            if (!current || current->generation != life.generation) {
                return {};    // superseded meanwhile: its own look will follow
            }
            current->status = life.status;
            TRY(writer.put_life(*current));
            return writer.add_event(make_event(life, actor, "waiting", status["waiting"]));
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
                TRY(writer.add_event(change_state(life, "failed", actor, title)));
            }
            TRY(writer.put_life(life));
            return writer.add_event(
                make_event(life, actor, "outcome", {{"result", result}, {"failure", failure}}));
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
        if (first || row.type == resource::component_type) {
            refs.push_back({row.type, row.place, row.name});
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
    set_status(life, status);
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
            spec->ports.clear();
            TRY(choose_ports(*app, *parts_.config.get(), taken, spec->ports));
            TRY(writer.free_ports(life.id));
            for (const auto& [component, port] : spec->ports) {
                TRY(writer.take_slot({"port", "host", port, life.id, component}));
            }
            life.spec = render_spec(*spec);
            TRY(writer.put_life(life));
            return writer.add_event(make_event(
                life, actor, "ports", {{"reason", error.message}, {"ports", spec->ports}}));
        });
    return written.has_value();
}

// --- supervising -------------------------------------------------------------------------

Status Reconciler::watch_components(const store::Life& life, const Spec& spec) {
    for (const auto& [component, run] : spec.names.runs) {
        if (watcher_.watches(run)) {
            continue;
        }
        auto pidfd = parts_.runner.watch(run);
        if (!pidfd) {
            return tl::unexpected(std::move(pidfd).error());
        }
        TRY(watcher_.watch(run, life.id, std::move(*pidfd)));
    }
    return {};
}

Reconciler::Next Reconciler::supervise(store::Life& life) {
    auto spec = parse_spec(life.spec);
    if (!spec) {
        log::error("a preview's record cannot be used", spec.error(), {{"life", life.id}});
        return Next::idle;
    }
    std::string ended;
    std::string how;
    bool rebooted = false;
    for (const auto& [component, run] : spec->names.runs) {
        const auto state = parts_.runner.observe(run);
        if (!state) {
            return retry_later(life, "look after " + component, state.error());
        }
        if (state->phase != process::RunPhase::running) {
            ended = component;
            how = resource::render_exit(*state);
            rebooted = rebooted || (!state->boot_id.empty() && state->boot_id != parts_.boot_id);
        }
    }
    if (ended.empty()) {
        return watch_components(life, *spec) ? Next::idle : Next::again;
    }
    json status = status_of(life);
    const auto now = now_utc();
    json recent = json::array();
    for (const auto& at : status.value("restarts", json::array())) {
        if (now - time_of(at) < restart_window) {
            recent.push_back(at);
        }
    }
    if (rebooted && spec->on_reboot == "remove") {
        life.wanted = false;
        ++life.generation;
        status["reason"] = "reboot";
    } else if (!rebooted && recent.size() >= restart_limit) {
        ++life.generation;
        set_status(life, status);
        const auto log_file = parts_.layout.data / "logs" / life.id / (ended + ".log");
        const Error error{
            Code::failed,
            ended + " ended " + std::to_string(restart_limit + 1) +
                " times within 5 minutes: " + how + "\n" + resource::log_tail(log_file, 12),
            "mend it and run `seatrial up` again; `seatrial logs` shows all of it", "", nullptr};
        return fail_generation(life, "start." + ended, ended, error, true);
    } else {
        if (!rebooted) {
            recent.push_back(stamp(now));
        }
        ++life.generation;    // a generation of its own: the plan heals what is missing
        status["restarts"] = recent;
    }
    set_status(life, status);
    const auto written =
        parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            TRY_ASSIGN(const auto current, writer.life(life.id));
            if (!current || current->generation + 1 != life.generation) {
                return {};    // somebody asked for something newer meanwhile
            }
            TRY(writer.put_life(life));
            return writer.add_event(make_event(
                life, actor, "ended", {{"component", ended}, {"how", how}, {"reboot", rebooted}}));
        });
    if (!written) {
        return retry_later(life, "look after " + ended, written.error());
    }
    return Next::again;
}

// --- taking down -------------------------------------------------------------------------

// Destroys `refs` of the life; rows leave as things are observed gone, into the receipt. When
// nothing is left, slots and uses go too.
Status Reconciler::release(store::Life& life, const std::vector<plan::Ref>& refs,
                           const std::string& name, json& status, const Context& ctx) {
    std::vector<plan::Ref> unknown;
    plan::Graph graph = plan::make_stop_graph(refs, parts_.types, &unknown);
    graph.name = name;
    for (const auto& ref : refs) {
        watcher_.forget(ref.name);
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
        TRY_ASSIGN(auto current, writer.life(life.id));
        if (current && current->generation == life.generation) {
            set_status(life, status);
            current->status = life.status;
            TRY(writer.put_life(*current));
        }
        return Status{};
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
                             {"started_ms", stamp(start)}};
        const auto written =
            parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) -> Status {
                TRY(writer.add_event(
                    change_state(life, "stopping", actor, status.value("reason", ""))));
                set_status(life, status);
                return writer.put_life(life);
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
    receipt["elapsed_ms"] = stamp(end) - receipt.value("started_ms", stamp(end));
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
            TRY(writer.add_event(change_state(life, "removed", actor, status.value("reason", ""))));
            set_status(life, status);
            TRY(writer.put_life(life));
            return writer.add_event(
                make_event(life, actor, "outcome",
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
