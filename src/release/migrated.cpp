#include "release/migrated.h"

#include <nlohmann/json.hpp>

namespace seatrial::release {

using nlohmann::json;

json to_json(const Migrated& step) {
    return {{"state", static_cast<int>(step.state)},
            {"container", step.container},
            {"at", step.at.time_since_epoch().count()},
            {"contract", step.contract},
            {"tag", step.tag},
            {"took_ms", step.took.count()},
            {"snapshot", step.snapshot},
            {"fault", step.fault},
            {"hint", step.hint}};
}

Migrated migrated_of(const json& in) {
    return {static_cast<Migrated::State>(in.at("state").get<int>()),
            in.at("container"),
            WallTime(std::chrono::milliseconds(in.at("at").get<std::int64_t>())),
            in.at("contract"),
            in.at("tag"),
            std::chrono::milliseconds(in.value("took_ms", 0LL)),
            in.value("snapshot", ""),
            in.value("fault", ""),
            in.value("hint", "")};
}

}    // namespace seatrial::release
