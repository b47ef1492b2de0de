#include "plan/collector.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/failpoint.h"
#include "log/log.h"

namespace seatrial::plan {

using nlohmann::json;

Collector::Collector(const Types& types, store::Records& records, Places places)
    : types_(types), records_(records), places_(std::move(places)) {}

// The listing comes before the records: what is being made is in the records before it is in
// the world, so it can never look like an orphan.
Result<std::vector<Ref>> Collector::find_orphans(json& report, const Context& ctx) {
    std::vector<Ref> listed;
    TRY_ASSIGN(const auto all_places, places_());
    for (Type* type : types_.all()) {
        const auto places = all_places.find(std::string(type->name()));
        if (places == all_places.end()) {
            continue;
        }
        for (const auto& place : places->second) {
            const auto names = type->list(place, ctx);
            if (!names) {
                TRY(ctx.ok());
                report["unlisted"].push_back({{"type", type->name()},
                                              {"place", place},
                                              {"error", render_error(names.error())}});
                continue;
            }
            for (const auto& name : *names) {
                listed.push_back({std::string(type->name()), place, name});
            }
        }
    }
    TRY_ASSIGN(const auto rows, records_.owned_all());
    std::set<Ref> owned;
    for (const auto& row : rows) {
        owned.insert({row.type, row.place, row.name});
    }
    listed_ = listed.size();
    std::erase_if(listed, [&](const Ref& ref) { return owned.contains(ref); });
    return listed;
}

// True once the ref was seen without an owner for the whole grace.
bool Collector::is_due(const Ref& ref, std::chrono::milliseconds grace, bool confirmed) {
    const auto now = Clock::now();
    const auto [seen, fresh] = first_seen_.emplace(ref, now);
    return confirmed || (!fresh && now - seen->second >= grace);
}

void Collector::remove(const std::vector<Ref>& refs, const SweepOptions& options, json& list,
                       const Context& ctx) {
    std::vector<Ref> ordered = refs;
    std::ranges::sort(ordered, std::greater<>(),
                      [&](const Ref& ref) { return types_.find(ref.type)->traits().rank; });
    for (const Ref& ref : ordered) {
        json entry = {
            {"type", ref.type}, {"place", ref.place}, {"name", ref.name}, {"removed", false}};
        if (!options.dry_run) {
            Status gone = failpoint("collector.remove.before");
            if (gone) {
                const auto removal = types_.find(ref.type)->destroy(ref, ctx);
                gone = removal ? records_.write(sql::Durability::relaxed,
                                                [&](store::Writer& writer) {
                                                    return writer.remove_owned(ref.type, ref.place,
                                                                               ref.name);
                                                })
                               : Status(tl::unexpected(removal.error()));
            }
            entry["removed"] = gone.has_value();
            if (!gone) {
                entry["error"] = render_error(gone.error());
                log::warn("an orphan could not be removed", gone.error(), {{"name", ref.name}});
            } else {
                log::warn("removed what nobody owned", {{"type", ref.type}, {"name", ref.name}});
                first_seen_.erase(ref);
            }
        }
        list.push_back(std::move(entry));
    }
}

Status Collector::sweep(const SweepOptions& options, json& report, const Context& ctx) {
    const std::lock_guard lock(mutex_);
    for (const char* list : {"orphans", "unused", "unlisted"}) {
        report[list] = json::array();
    }
    report["asks"] = false;
    TRY_ASSIGN(auto orphans, find_orphans(report, ctx));
    TRY_ASSIGN(const auto rows, records_.shared_unused());
    std::set<Ref> current(orphans.begin(), orphans.end());
    std::vector<Ref> unused;
    for (const auto& row : rows) {
        const Ref ref{row.type, row.place, row.name};
        current.insert(ref);
        const Type* type = types_.find(ref.type);
        if (type != nullptr && is_due(ref, options.shared_keep, false)) {
            unused.push_back(ref);
        }
    }
    std::erase_if(first_seen_, [&](const auto& seen) { return !current.contains(seen.first); });
    std::erase_if(orphans, [&](const Ref& ref) {
        return !is_due(ref, options.grace, options.confirmed || options.dry_run);
    });
    SweepOptions careful = options;
    if (!options.confirmed && orphans.size() > options.cap && orphans.size() * 5 > listed_) {
        report["asks"] = true;
        careful.dry_run = true;
        log::warn("the collector asks before it removes this much",
                  {{"orphans", orphans.size()}, {"listed", listed_}});
    }
    remove(orphans, careful, report["orphans"], ctx);
    remove(unused, options, report["unused"], ctx);
    return ctx.ok();
}

}    // namespace seatrial::plan
