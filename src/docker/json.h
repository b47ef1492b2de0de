// Members of an engine's answer. The engine is another program: what is missing or of another
// kind reads as empty, it never throws.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace seatrial::docker {

// An empty value when `object` is no object or has no such member. Valid as long as `object`.
const nlohmann::json& member(const nlohmann::json& object, std::string_view name);
std::string text_of(const nlohmann::json& object, std::string_view name);
std::int64_t number_of(const nlohmann::json& object, std::string_view name);
bool flag_of(const nlohmann::json& object, std::string_view name);
std::map<std::string, std::string> texts_of(const nlohmann::json& object, std::string_view name);

// Refuses what is nested deeper than any engine writes: dump() and copies of such a value would
// use up the stack. Errors: `invalid`.
Result<nlohmann::json> parse_json(std::string_view text);

}    // namespace seatrial::docker
