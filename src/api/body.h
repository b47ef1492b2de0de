// Small pieces that the handlers share.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "api/api.h"

namespace seatrial::api {

http::Response answer(int status, const nlohmann::json& body);
std::string actor_of(const http::Request& request);
std::string query(const http::Request& request, std::string_view name);

// A body that is a JSON object with only known members of the right types, all faults at once.
enum class Kind { text, number, flag, object };
using Shape = std::map<std::string, Kind>;
Result<nlohmann::json> parse_body(const http::Request& request, const Shape& shape);

// The preview that the path names.
Result<store::Life> find(Services& services, const http::Request& request, bool removed = false);

}    // namespace seatrial::api
