#include "docker/events.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/clock.h"
#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{1000};    // users may wait for what comes next
constexpr std::int64_t nano = 1'000'000'000;

std::string render_moment(std::int64_t nanoseconds) {
    std::string fraction = std::to_string(nanoseconds % nano);
    fraction.insert(0, 9 - fraction.size(), '0');
    return std::to_string(nanoseconds / nano) + "." + fraction;
}

Event parse_event(const json& object) {
    const json& actor = member(object, "Actor");
    Event event{number_of(object, "timeNano"),
                text_of(object, "Type"),
                text_of(object, "Action"),
                text_of(actor, "ID"),
                "",
                texts_of(actor, "Attributes")};
    const auto name = event.attributes.find("name");
    event.name = name == event.attributes.end() ? "" : name->second;
    return event;
}

// Where a stream goes on: everything before `moment` was told, and of that moment `told`.
class Position {
public:
    explicit Position(std::int64_t moment) : moment_(moment) {}
    std::int64_t moment() const { return moment_; }
    // False: it was told before.
    bool advance(const Event& event) {
        if (event.nanoseconds < moment_) {
            return false;
        }
        if (event.nanoseconds > moment_) {
            told_.clear();
        }
        moment_ = event.nanoseconds;
        return told_.insert(event.type + " " + event.id + " " + event.action).second;
    }

private:
    std::int64_t moment_;
    std::set<std::string> told_;
};

// An engine that has just started owns its socket before it opens it to its group.
bool may_come_back(const Error& error) {
    return error.code == Code::unavailable || error.code == Code::refused;
}

}    // namespace

Status watch_events(Engine& engine, const EventsWanted& wanted,
                    const std::function<bool(const Event&)>& on_event, const Context& ctx) {
    // Said even for "from now on", or what comes before the first event could be lost with the
    // connection. The engine is on this host: our clock is its clock.
    const auto now = std::chrono::nanoseconds(now_utc().time_since_epoch()).count();
    Position position(wanted.since_nanoseconds > 0 ? wanted.since_nanoseconds : now);
    milliseconds pause = first_pause;
    bool lost = false;
    bool stopped = false;
    while (true) {
        net::Pairs query = {{"filters", engine.our_filter(wanted.labels)},
                            {"since", render_moment(position.moment())}};
        if (wanted.until_nanoseconds > 0) {
            query.emplace_back("until", render_moment(wanted.until_nanoseconds));
        }
        if (lost && engine.ping(ctx) && wanted.on_reconnect) {
            wanted.on_reconnect();
        }
        Status ended = engine.stream_json(
            {.path = "/events", .query = std::move(query)},
            [&](const json& object) {
                pause = first_pause;
                const Event event = parse_event(object);
                stopped = position.advance(event) && !on_event(event);
                return !stopped;
            },
            ctx);
        if (stopped || (ended && wanted.until_nanoseconds > 0)) {
            return {};
        }
        if (!ended && !may_come_back(ended.error())) {
            return ended;
        }
        lost = true;
        TRY(wait_for(pause, ctx));
        pause = std::min(pause * 2, longest_pause);
    }
}

Result<DiskUse> disk_use(Engine& engine, const Context& ctx) {
    TRY_ASSIGN(const json answer, engine.call({.path = "/system/df"}, ctx));
    DiskUse use;
    use.images = number_of(answer, "LayersSize");
    for (const json& one : member(answer, "Containers")) {
        use.containers += number_of(one, "SizeRw");
    }
    for (const json& one : member(answer, "Volumes")) {
        use.volumes += std::max<std::int64_t>(number_of(member(one, "UsageData"), "Size"), 0);
    }
    for (const json& one : member(answer, "BuildCache")) {
        use.build_cache += flag_of(one, "Shared") ? 0 : number_of(one, "Size");
    }
    return use;
}

Result<std::int64_t> prune_build_cache(Engine& engine, std::int64_t budget_bytes,
                                       const Context& ctx) {
    TRY_ASSIGN(
        const json answer,
        engine.call({.method = "POST",
                     .path = "/build/prune",
                     .query = {{"all", "1"}, {"keep-storage", std::to_string(budget_bytes)}}},
                    ctx));
    return number_of(answer, "SpaceReclaimed");
}

}    // namespace seatrial::docker
