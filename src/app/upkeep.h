// What happens by the clock: expiry and its warning, the collector, trash and old logs.
#pragma once

#include <nlohmann/json_fwd.hpp>

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
    void stop();

private:
    void expire();
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
    WallTime last_wall_{};
    std::chrono::milliseconds last_boot_{0};
    WallTime expiry_held_until_{};
};

}    // namespace seatrial::app
