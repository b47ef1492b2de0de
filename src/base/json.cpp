#include "base/json.h"

#include <nlohmann/json.hpp>

namespace seatrial {

using nlohmann::json;

std::optional<json> parse_bounded_json(std::string_view text, int deepest) {
    bool too_deep = false;
    const auto guard = [&](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > deepest;
        return depth <= deepest;    // what is deeper is not kept
    };
    json out = json::parse(text, guard, false);
    if (out.is_discarded() || too_deep) {
        return std::nullopt;
    }
    return out;
}

std::string dump_json(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}    // namespace seatrial
