#include "app/upkeep.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "git/mirror.h"
#include "log/log.h"

namespace seatrial::app {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds first_collection{60'000};
constexpr milliseconds collection_interval{10 * 60'000};
constexpr milliseconds trash_grace{2 * 60'000};       // mass deletes slow creation on some disks
constexpr milliseconds longest_sleep{15 * 60'000};    // also notices a changed wall clock
constexpr milliseconds clock_jump{5 * 60'000};
constexpr milliseconds expiry_hold{10 * 60'000};
constexpr int expiry_batch = 50;

// Runs through suspend, unlike the monotonic clock: a machine that slept did not jump.
milliseconds boot_time() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + milliseconds(now.tv_nsec / 1'000'000);
}

}    // namespace

Upkeep::Upkeep(preview::Parts parts, preview::Manager& manager, plan::Collector& collector)
    : parts_(std::move(parts)),
      manager_(manager),
      collector_(collector),
      last_wall_(now_utc()),
      last_boot_(boot_time()) {}

void Upkeep::start() {
    rearm_expiry();
    parts_.timers.set("collect", first_collection,
                      [this] { parts_.subjects.submit({[this] { collect(); }, "", "collector"}); });
}

void Upkeep::stop() {
    stop_.cancel();
    parts_.timers.clear("expiry");
    parts_.timers.clear("collect");
}

void Upkeep::allow_collector(bool allowed, std::string why_not) {
    const std::lock_guard lock(mutex_);
    collector_allowed_ = allowed;
    why_not_ = std::move(why_not);
}

json Upkeep::health() const {
    const std::lock_guard lock(mutex_);
    return {{"collector", collector_allowed_ ? json("on") : json("report only: " + why_not_)},
            {"collector_asks", asks_}};
}

void Upkeep::rearm_expiry() {
    if (stop_.context().cancelled()) {
        return;
    }
    const auto any = parts_.records.next_expiry(false);
    if (any && !*any) {
        parts_.timers.clear("expiry");    // nothing expires, nothing to wake up for
        return;
    }
    milliseconds delay = longest_sleep;
    const auto now = now_utc();
    for (const bool warning : {false, true}) {
        const auto next = parts_.records.next_expiry(warning);
        if (!next || !*next) {
            continue;
        }
        auto due = **next - now;
        if (warning) {
            // Warnings come before; how long before is each preview's own: look in time.
            due = due > std::chrono::hours(1) ? due - std::chrono::hours(1) : longest_sleep;
        }
        delay = std::clamp(due, milliseconds(0), delay);
    }
    {
        const std::lock_guard lock(mutex_);
        if (expiry_held_until_ > now) {
            delay = std::max<milliseconds>(delay, std::chrono::seconds(30));
        }
    }
    parts_.timers.set("expiry", delay,
                      [this] { parts_.subjects.submit({[this] { expire(); }, "", "expiry"}); });
}

void Upkeep::expire() {
    const auto now = now_utc();
    bool held = false;
    {
        const std::lock_guard lock(mutex_);
        const auto boot = boot_time();
        const auto jumped = (now - last_wall_) - (boot - last_boot_);
        last_wall_ = now;
        last_boot_ = boot;
        if (jumped > clock_jump) {
            expiry_held_until_ = now + expiry_hold;
            log::warn("the clock jumped forward: nothing expires for a while",
                      {{"ms", jumped.count()}});
        }
        held = now < expiry_held_until_;
    }
    if (held) {
        return rearm_expiry();
    }
    const auto ended = manager_.expire(now, expiry_batch, false, "timer");
    if (!ended) {
        log::warn("expiry failed", ended.error());
    }
    if (const auto warned = manager_.warn_expiring(now); !warned) {
        log::warn("expiry warnings failed", warned.error());
    }
    rearm_expiry();
}

Status Upkeep::empty_trash(bool all, json& report, const Context& ctx) {
    report["trash"] = json::array();
    std::error_code error;
    const auto oldest = now_utc() - (all ? milliseconds(0) : trash_grace);
    for (const auto& entry :
         std::filesystem::directory_iterator(parts_.layout.data / "trash", error)) {
        struct stat info{};
        if (::lstat(entry.path().c_str(), &info) != 0) {
            continue;
        }
        const WallTime changed(std::chrono::seconds(info.st_ctim.tv_sec));
        if (changed > oldest) {
            continue;
        }
        TRY(parts_.runner.remove(entry.path(), ctx));
        report["trash"].push_back(entry.path().filename().string());
    }
    return {};
}

void Upkeep::drop_old_logs() {
    const auto keep = parts_.config.get()->log_keep;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::directory_iterator(parts_.layout.data / "logs", error)) {
        const auto life = parts_.records.life(entry.path().filename());
        if (!life) {
            return;
        }
        const bool over =
            !*life || ((*life)->state == "removed" && now_utc() - (*life)->changed_at > keep);
        if (over) {
            std::filesystem::remove_all(entry.path(), error);
        }
    }
}

Status Upkeep::sweep(const plan::SweepOptions& options, json& report, const Context& ctx) {
    plan::SweepOptions careful = options;
    {
        const std::lock_guard lock(mutex_);
        careful.dry_run = options.dry_run || (!collector_allowed_ && !options.confirmed);
    }
    TRY(collector_.sweep(careful, report, ctx));
    {
        const std::lock_guard lock(mutex_);
        asks_ = report.value("asks", false);
    }
    if (options.dry_run) {
        return {};
    }
    TRY(empty_trash(options.all_trash, report, ctx));
    drop_old_logs();
    std::error_code error;
    for (const auto& entry :
         std::filesystem::directory_iterator(parts_.layout.data / "mirrors", error)) {
        if (const auto tidied = git::Mirror(entry.path()).tidy(ctx); !tidied) {
            log::warn("a mirror could not be tidied", tidied.error(),
                      {{"mirror", entry.path().filename().string()}});
        }
    }
    const auto config = parts_.config.get();
    const auto now = now_utc();
    return parts_.records.write(sql::Durability::relaxed, [&](store::Writer& writer) {
        return writer.forget_before(now - config->event_keep, now - std::chrono::hours(24 * 30));
    });
}

void Upkeep::collect() {
    json report;
    const auto swept = sweep({}, report, stop_.context().with_timeout(collection_interval));
    if (!swept && swept.error().code != Code::cancelled) {
        log::warn("the collector's pass failed", swept.error());
    }
    if (!stop_.context().cancelled()) {
        parts_.timers.set("collect", collection_interval, [this] {
            parts_.subjects.submit({[this] { collect(); }, "", "collector"});
        });
    }
}

}    // namespace seatrial::app
