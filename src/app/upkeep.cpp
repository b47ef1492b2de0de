#include "app/upkeep.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
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
constexpr milliseconds held_sleep{30'000};
constexpr int expiry_batch = 50;    // ending at once: the rest waits, so that others get a turn

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
      clocks_(now_utc(), boot_time()) {}

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
        if (clocks_.holding() || crowded_) {
            delay = std::max(delay, held_sleep);
        }
    }
    parts_.timers.set("expiry", delay,
                      [this] { parts_.subjects.submit({[this] { expire(); }, "", "expiry"}); });
}

void Upkeep::expire() {
    const auto now = now_utc();
    JumpGuard::Verdict clocks;
    {
        const std::lock_guard lock(mutex_);
        clocks = clocks_.look(now, boot_time());
    }
    if (clocks.hold) {
        log::warn("the clock jumped forward: nothing expires for a while");
        return rearm_expiry();
    }
    if (clocks.shift > milliseconds(0)) {
        const auto shifted = parts_.records.write(sql::Durability::full, [&](auto& writer) {
            return writer.shift_expiry(clocks.before, clocks.shift);
        });
        if (!shifted) {
            log::error("a jump of the clock may end previews early", shifted.error());
        }
        log::warn("the clock jumped forward for good: previews keep the time that they had",
                  {{"ms", clocks.shift.count()}});
    }
    end_expired(now);
    if (const auto warned = manager_.warn_expiring(now); !warned) {
        log::warn("expiry warnings failed", warned.error());
    }
    rearm_expiry();
}

void Upkeep::end_expired(WallTime now) {
    {
        // Set before: they may be gone before we are told that they end.
        const std::lock_guard lock(mutex_);
        crowded_ = true;
        ended_since_ = 0;
    }
    const auto ending = parts_.records.ending();
    const int room = expiry_batch - static_cast<int>(ending.value_or(0));
    const auto ended =
        room > 0 ? manager_.expire(now, room, false, "timer") : Result<std::vector<store::Life>>();
    if (!ended) {
        log::warn("expiry failed", ended.error());
    }
    if (const auto passed = failpoint("upkeep.expired"); !passed) {
        log::warn("expiry failed", passed.error());
    }
    const std::lock_guard lock(mutex_);
    const bool full = room <= 0 || (ended && static_cast<int>(ended->size()) == room);
    crowded_ = full && ended_since_ < expiry_batch / 2;
}

void Upkeep::one_ended() {
    {
        const std::lock_guard lock(mutex_);
        if (++ended_since_ < expiry_batch / 2 || !crowded_) {
            return;
        }
        crowded_ = false;
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
    parts_.records.keep_reserve();
    std::error_code error;
    const auto config = parts_.config.get();
    report["salvage"] = json::array();
    for (const auto& entry :
         std::filesystem::directory_iterator(parts_.layout.data / "mirrors", error)) {
        const std::string mirror = entry.path().filename();
        const auto dropped = git::Mirror(entry.path()).tidy(config->salvage_keep, ctx);
        if (!dropped) {
            log::warn("a mirror could not be tidied", dropped.error(), {{"mirror", mirror}});
            continue;
        }
        for (const auto& name : *dropped) {
            log::info("dropped old saved work", {{"mirror", mirror}, {"name", name}});
            report["salvage"].push_back({{"mirror", mirror}, {"name", name}});
        }
    }
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
