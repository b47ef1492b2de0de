// The checks of a release through the edge: before users reach it, and once more when they do.
#include <nlohmann/json.hpp>

#include "checks/checks.h"
#include "log/log.h"
#include "release/news.h"
#include "release/reconciler.h"

namespace seatrial::release {
namespace {

using checks::Outcome;

// By `probe`, or as a user when it is empty. What an edge that ended meanwhile made of them says
// nothing about the release: `unavailable`.
Result<std::vector<Outcome>> ask(EdgeControl& edge, const Settings& settings,
                                 const std::string& probe, const Context& ctx) {
    TRY(edge.refresh(ctx));
    if (settings.listens.empty()) {
        return std::vector<Outcome>();
    }
    TRY_ASSIGN(const std::string worker, edge.haproxy().worker(ctx));
    const edge::Listen& listen = settings.listens.front();
    checks::Target target;
    // It is the edge that we run: its certificate is for the name that users ask for.
    target.any_certificate = !listen.certificate.empty();
    target.url = (listen.certificate.empty() ? "http://" : "https://") +
                 (listen.address.empty() ? "127.0.0.1" : listen.address) + ":" +
                 std::to_string(listen.port);
    if (!probe.empty()) {
        target.headers = {{"x-seatrial-probe", probe}};
    }
    TRY_ASSIGN(auto outcomes, checks::run(settings.checks, target, ctx));
    if (!checks::render_failures(outcomes).empty() && edge.haproxy().worker(ctx) != worker) {
        TRY(ctx.ok());
        return fail(Code::unavailable, "the edge (HAProxy) was not the same during all checks",
                    "they are done again");
    }
    return outcomes;
}

}    // namespace

Status Reconciler::check(Look& now, const std::string& slot, const Context& ctx) {
    TRY_ASSIGN(const auto outcomes,
               ask(parts_.edge, now.spec.settings, now.standing.probes.at(slot), ctx));
    if (const std::string failures = checks::render_failures(outcomes); !failures.empty()) {
        return give_up(now, slot,
                       Error{Code::failed, "checks failed:\n" + failures, "", "", nullptr});
    }
    enter(now.standing, slot, Phase::checked);
    return save(now,
                {make_event(now.life, "checked", {{"slot", slot}, {"checks", outcomes.size()}})});
}

Status Reconciler::prove(Look& now, const std::string& slot, const Context& ctx) {
    TRY_ASSIGN(const auto outcomes, ask(parts_.edge, now.spec.settings, "", ctx));
    now.standing.state.proving = false;
    const std::string failures = checks::render_failures(outcomes);
    if (failures.empty()) {
        return save(
            now, {make_event(now.life, "proved", {{"slot", slot}, {"checks", outcomes.size()}})});
    }
    Action back;
    back.what = Do::revert;
    back.slot = slot;
    back.why = "checks failed after the switch:\n" + failures;
    log::warn("checks take a release back", {{"life", now.life.id}, {"why", back.why}});
    now.standing.failure = back.why;
    return revert(now, back, ctx);
}

}    // namespace seatrial::release
