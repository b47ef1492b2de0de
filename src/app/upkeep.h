// What happens by the clock: expiry and its warning, the collector, trash and old logs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "app/jump_guard.h"
#include "plan/collector.h"
#include "preview/manager.h"

namespace seatrial::app {

// Thread: any. start() sets timers that re-arm themselves; stop() before the parts end.
class Upkeep {
public:
    Upkeep(preview::Parts parts, preview::Manager& manager, plan::Collector& collector);
    void start();
    // The collector works only after the records were found whole and everything was re-adopted.
    void allow_collector(bool allowed, std::string why_not);
    // `cleanup`: expired ones are the manager's; this is orphans, unused, trash and old logs.
    Status sweep(const plan::SweepOptions& options, nlohmann::json& report, const Context& ctx);
    nlohmann::json health() const;
    // To be called when expiry times changed (events say so).
    void rearm_expiry();
    // To be called when a preview is removed: one that waits for its end may be next.
    void one_ended();
    void stop();

private:
    void expire();
    void end_expired(WallTime now);
    void collect();
    Status empty_trash(bool all, nlohmann::json& report, const Context& ctx);
    void drop_old_logs();

    preview::Parts parts_;
    preview::Manager& manager_;
    plan::Collector& collector_;
    CancelSource stop_;
    mutable std::mutex mutex_;
    bool collector_allowed_ = false;
    std::string why_not_ = "starting";
    bool asks_ = false;
    JumpGuard clocks_;
    bool crowded_ = false;    // more has expired than may end at once
    int ended_since_ = 0;
};

}    // namespace seatrial::app
