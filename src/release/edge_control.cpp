#include "release/edge_control.h"

#include <algorithm>

#include "log/log.h"
#include "release/deployment.h"

namespace seatrial::release {
namespace {

constexpr auto start_time = std::chrono::seconds(10);
constexpr std::chrono::milliseconds longest_pause{100};    // users wait meanwhile

}    // namespace

Result<edge::Wanted> EdgeControl::wanted() const {
    store::LifeFilter filter;
    filter.kind = deployment_kind;
    TRY_ASSIGN(const auto lives, records_.lives(filter));
    edge::Wanted out;
    for (const auto& life : lives) {
        TRY_ASSIGN(const Spec spec, parse_spec(life.spec));
        TRY_ASSIGN(const Standing standing, parse_standing(life.status));
        out.sites.push_back(make_site(spec.app, spec.env, spec.settings, standing));
    }
    return out;
}

Status EdgeControl::start(const edge::Wanted& wanted, const Context& ctx) {
    TRY(haproxy_.write(wanted, ctx));
    const Context limited = ctx.with_timeout(start_time);
    std::chrono::milliseconds pause{5};
    // Launched again while it does not answer: its master lives a moment longer than its worker,
    // and as long as it lives nothing is launched.
    while (true) {
        TRY(launch_(haproxy_.command(), ctx));
        if (haproxy_.worker(limited)) {
            return {};
        }
        if (const auto waited = wait_for(pause, limited); !waited) {
            TRY(ctx.ok());
            return fail(Code::unavailable, "the edge (HAProxy) was started and does not answer",
                        "its log says why; a port in use is the usual cause");
        }
        pause = std::min(pause * 2, longest_pause);
    }
}

Result<edge::Applied> EdgeControl::refresh(const Context& ctx) {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(auto applied, refresh_locked(ctx));
    for (const auto& warning : applied.warnings) {
        if (std::ranges::find(told_, warning) == told_.end()) {
            log::warn(warning);
        }
    }
    told_ = applied.warnings;
    return applied;
}

Result<edge::Applied> EdgeControl::refresh_locked(const Context& ctx) {
    TRY_ASSIGN(const edge::Wanted now, wanted());
    if (now.sites.empty() && !haproxy_.worker(ctx)) {
        return edge::Applied();
    }
    auto applied = haproxy_.apply(now, ctx);
    if (applied || applied.error().code != Code::unavailable || haproxy_.worker(ctx)) {
        return applied;
    }
    TRY(start(now, ctx));
    return haproxy_.apply(now, ctx);
}

}    // namespace seatrial::release
