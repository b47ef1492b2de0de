#include <nlohmann/json.hpp>

#include "config/config.h"
#include "config/keys.h"
#include "config/types.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* variable_pattern = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";
constexpr const char* registry_pattern = "^[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?$";
constexpr const char* name_pattern = "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$";
constexpr const char* below_pattern = "^(?!/)(?!(.*/)?\\.\\.(/|$)).+$";

Json pattern(const char* text) {
    return {{"type", "string"}, {"pattern", text}};
}
// Plain scalars that YAML types by itself; the text as written counts.
Json any_text() {
    return {{"type", Json::array({"string", "number", "boolean"})}};
}
Json list_of(const Json& item) {
    return {{"anyOf", Json::array({item, {{"type", "array"}, {"items", item}}})}};
}

Json object_schema(std::string_view parent, Where file);

Json value_schema(const Key& key) {
    switch (key.type) {
        case Type::command:
            return {{"anyOf",
                     Json::array({{{"type", "string"}, {"minLength", 1}},
                                  {{"type", "array"}, {"items", any_text()}, {"minItems", 1}}})}};
        case Type::variable: return pattern(variable_pattern);
        case Type::variables: return list_of(pattern(variable_pattern));
        case Type::path: return pattern(below_pattern);
        case Type::folder: return {{"type", "string"}};
        case Type::paths:
        case Type::globs: return list_of(pattern(below_pattern));
        case Type::file:
        case Type::url_path: return pattern("^/");
        case Type::files: return list_of(pattern("^/"));
        case Type::texts: return list_of(any_text());
        case Type::boolean: return {{"type", "boolean"}};
        case Type::integer:
            return {{"type", "integer"}, {"minimum", key.min}, {"maximum", key.max}};
        case Type::percent:
            return {{"anyOf", Json::array({{{"type", "integer"}}, pattern("^[0-9]+%?$")})}};
        case Type::duration: return pattern("^([0-9]+(ms|s|m|h|d))+$");
        case Type::size:
            return {{"anyOf",
                     Json::array({{{"type", "integer"}}, pattern("^[0-9]+([KMGT]?(i?B)?)$")})}};
        case Type::choice: {
            Json values = Json::array();
            for (const auto word : choices(key)) {
                values.push_back(word);
            }
            if (values.front() == "none") {
                values.push_back(false);
            }
            return {{"enum", values}};
        }
        case Type::label:
        case Type::host: return {{"type", "string"}, {"minLength", 1}};
        default: return any_text();
    }
}

Json fallback_of(const Key& key) {
    if (key.type == Type::boolean) {
        return parse_boolean(key.fallback).value_or(false);
    }
    if (key.type == Type::integer) {
        return parse_integer(key.fallback).value_or(0);
    }
    return key.fallback;
}

Json key_schema(const Key& key, Where file) {
    Json out;
    if (key.type == Type::objects) {
        out = list_of(key_schema(*find_key(key.path, "[]"), file));
    } else if (key.type == Type::object) {
        out = object_schema(key.path, file);
        if (!key.shorthand.empty()) {
            const Key* inner = find_key(key.path, key.shorthand);
            out = {{"anyOf", Json::array({value_schema(*inner), out})}};
        }
        if (last_segment(key.path) == "*" && !key.required) {    // "NAME:" alone declares it
            out = {{"anyOf", Json::array({{{"type", "null"}}, out})}};
        }
    } else {
        out = value_schema(key);
    }
    out["description"] = key.text;
    if (!key.fallback.empty()) {
        out["default"] = fallback_of(key);
    }
    return out;
}

// `parent` "" is the top.
Json object_schema(std::string_view parent, Where file) {
    Json out = {{"type", "object"}, {"additionalProperties", false}};
    Json properties = Json::object();
    Json required = Json::array();
    Names names = Names::label;
    for (const auto& key : all_keys()) {
        names = key.path == parent ? key.names : names;
    }
    for (const Key* key : keys_below(parent)) {
        if (!allowed_in(key->where, file)) {
            continue;
        }
        if (last_segment(key->path) == "*") {
            // A pattern applies beside the exact names, so it must leave them out.
            std::string name = names == Names::variable   ? variable_pattern
                               : names == Names::registry ? registry_pattern
                                                          : name_pattern;
            for (const auto& [word, ignored] : properties.items()) {
                name.insert(1, "(?!" + word + "$)");
            }
            out["patternProperties"][name] = key_schema(*key, file);
            continue;
        }
        const std::string word(last_segment(key->path));
        properties[word] = key_schema(*key, file);
        if (key->required) {
            required.push_back(word);
        }
    }
    if (!properties.empty()) {
        out["properties"] = properties;
    }
    if (!required.empty()) {
        out["required"] = required;
    }
    return out;
}

}    // namespace

std::string json_schema() {
    Json out = {
        {"$schema", "https://json-schema.org/draft/2020-12/schema"},
        {"title", "Seatrial configuration"},
        {"description", "seatrial.yaml of an app, the server's file, or both in one file."},
        {"if",
         {{"anyOf", Json::array({{{"required", Json::array({"app"})}},
                                 {{"required", Json::array({"components"})}}})}}},
        {"then", {{"$ref", "#/$defs/app_and_server"}}},
        {"else", {{"$ref", "#/$defs/server"}}},
    };
    out["$defs"]["app"] = object_schema("", Where::app);
    out["$defs"]["server"] = object_schema("", Where::server);
    out["$defs"]["app_and_server"] = object_schema("", Where::both);
    return out.dump(2) + "\n";
}

}    // namespace seatrial::config
