#include "api/body.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace seatrial::api {

using nlohmann::json;

http::Response answer(int status, const json& body) {
    return http::json(status, body.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::string actor_of(const http::Request& request) {
    return "uid:" + std::to_string(request.peer.uid);
}

std::string query(const http::Request& request, std::string_view name) {
    return std::string(request.query_value(name).value_or(""));
}

Result<json> parse_body(const http::Request& request, const Shape& shape) {
    json body = json::parse(request.body.empty() ? "{}" : request.body, nullptr, false);
    if (!body.is_object()) {
        return fail(Code::invalid, "the body is not a JSON object");
    }
    std::vector<std::string> faults;
    std::vector<std::string_view> known;
    for (const auto& [name, kind] : shape) {
        known.emplace_back(name);
    }
    for (const auto& [name, value] : body.items()) {
        const auto rule = shape.find(name);
        if (rule == shape.end()) {
            const auto close = suggest(name, known);
            faults.push_back("unknown member " + printable(name) +
                             (close ? ", did you mean " + *close + "?" : ""));
            continue;
        }
        const bool fits = (rule->second == Kind::text && value.is_string()) ||
                          (rule->second == Kind::number && value.is_number()) ||
                          (rule->second == Kind::flag && value.is_boolean()) ||
                          (rule->second == Kind::object && value.is_object());
        if (!fits) {
            faults.push_back(name + " has the wrong type");
        }
    }
    if (!faults.empty()) {
        return fail(Code::invalid, join(faults, "; "));
    }
    return body;
}

Result<store::Life> find(Services& services, const http::Request& request, bool removed) {
    return services.manager.find(
        {std::string(request.param("key")), query(request, "app"), query(request, "env")}, removed);
}

}    // namespace seatrial::api
