// JSON of outside, read with a bound, and JSON for the records.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace seatrial {

// nullopt when `text` is no JSON, or nested deeper than `deepest`: dump() and copies of such a
// value would use up the stack.
std::optional<nlohmann::json> parse_bounded_json(std::string_view text, int deepest);

// On one line; what is no UTF-8 becomes the replacement character.
std::string dump_json(const nlohmann::json& value);

}    // namespace seatrial
