#include "docker/json.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

constexpr int deepest = 64;

}    // namespace

const json& member(const json& object, std::string_view name) {
    static const json none;
    if (!object.is_object()) {
        return none;
    }
    const auto found = object.find(name);
    return found == object.end() ? none : *found;
}

std::string text_of(const json& object, std::string_view name) {
    const json& value = member(object, name);
    return value.is_string() ? value.get<std::string>() : "";
}

std::int64_t number_of(const json& object, std::string_view name) {
    const json& value = member(object, name);
    return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

bool flag_of(const json& object, std::string_view name) {
    const json& value = member(object, name);
    return value.is_boolean() && value.get<bool>();
}

std::map<std::string, std::string> texts_of(const json& object, std::string_view name) {
    std::map<std::string, std::string> texts;
    for (const auto& [key, value] : member(object, name).items()) {
        if (value.is_string()) {
            texts[key] = value.get<std::string>();
        }
    }
    return texts;
}

Result<json> parse_json(std::string_view text) {
    auto value = parse_bounded_json(text, deepest);
    if (!value) {
        return fail(Code::invalid, "the engine's answer is not JSON as it should be");
    }
    return std::move(*value);
}

}    // namespace seatrial::docker
