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
#include "resource/run_spec.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
constexpr milliseconds restart_window{5 * 60'000};
constexpr std::size_t restart_limit = 3;
constexpr milliseconds log_patience{5000};

}    // namespace
Status Reconciler::watch_components(const store::Life& life, const Spec& spec) {
    TRY_ASSIGN(Provider* const provider, provider_of(parts_, spec));
    for (const auto& [component, run] : spec.names.runs) {
        if (!provider->watches(run)) {
            TRY(provider->watch(run, life.id));
        }
    }
    return {};
}

// What the world says of the components: the last one found ended, and how.
Result<Reconciler::Ended> Reconciler::find_ended(const Spec& spec, const Context& ctx) const {
    TRY_ASSIGN(const Provider* const provider, provider_of(parts_, spec));
    Ended ended;
    for (const auto& [component, run] : spec.names.runs) {
        TRY_ASSIGN(const Running state, provider->observe(run, ctx));
        if (state.phase == Running::Phase::running) {
            continue;
        }
        ended.component = component;
        ended.how = state.how;
        ended.rebooted = ended.rebooted || state.rebooted;
    }
    return ended;
}

Reconciler::Next Reconciler::supervise(store::Life& life, const Context& ctx) {
    const auto spec = parse_spec(life.spec);
    if (!spec) {
        log::error("a preview's record cannot be used", spec.error(), {{"life", life.id}});
        return Next::idle;
    }
    const auto ended = find_ended(*spec, ctx);
    if (!ended) {
        return retry_later(life, "look after the components", ended.error());
    }
    if (ended->component.empty()) {
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
    const std::int64_t seen = life.generation;
    ++life.generation;    // a generation of its own: its plan heals what is missing
    const bool give_up = !ended->rebooted && recent.size() >= restart_limit;
    if (ended->rebooted && spec->on_reboot == "remove") {
        life.wanted = false;
        status["reason"] = "reboot";
    } else if (!ended->rebooted && !give_up) {
        recent.push_back(unix_millis(now));
        status["restarts"] = recent;
    }
    set_status(life, status);
    const auto written =
        parts_.records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
            TRY(writer.settle(life, seen));
            return writer.add_event(make_event(life, reconciler_actor, "ended",
                                               {{"component", ended->component},
                                                {"how", ended->how},
                                                {"reboot", ended->rebooted}}));
        });
    if (!written) {
        return retry_later(life, "look after " + ended->component, written.error());
    }
    return give_up ? give_up_on(life, *ended) : Next::again;
}

// It keeps dying: what the log says is the best there is to tell.
Reconciler::Next Reconciler::give_up_on(store::Life& life, const Ended& ended) {
    const auto spec = parse_spec(life.spec);
    const auto provider = spec ? provider_of(parts_, *spec) : tl::unexpected(spec.error());
    if (provider) {
        const Context patience = Context().with_timeout(log_patience);
        (void)(*provider)->copy_logs(*spec, patience);
    }
    const auto log_file = parts_.layout.data / "logs" / life.id / (ended.component + ".log");
    const Error error{
        Code::failed,
        ended.component + " ended " + std::to_string(restart_limit + 1) +
            " times within 5 minutes: " + ended.how + "\n" + resource::log_tail(log_file, 12),
        "mend it and run `seatrial up` again; `seatrial logs` shows all of it", "", nullptr};
    return fail_generation(life, "start." + ended.component, ended.component, error, true);
}

}    // namespace seatrial::preview
