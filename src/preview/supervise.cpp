// Looking after a running preview.
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
constexpr milliseconds restart_window{5 * 60'000};
constexpr std::size_t restart_limit = 3;

}    // namespace
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
            recent.push_back(unix_millis(now));
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
            return writer.add_event(
                make_event(life, reconciler_actor, "ended",
                           {{"component", ended}, {"how", how}, {"reboot", rebooted}}));
        });
    if (!written) {
        return retry_later(life, "look after " + ended, written.error());
    }
    return Next::again;
}

}    // namespace seatrial::preview
