// One variable of an app's env schema.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace seatrial::config {

struct EnvRule {
    std::string name = {};
    bool required = false;
    std::string required_if = {};    // "NAME": has a value; "NAME=value": this one; "" = never
    bool secret = false;
    bool build = false;                          // image builds read it, not what runs
    std::vector<std::string> components = {};    // which read it; empty = all
    std::string type = "string";                 // string | integer | boolean | url | port
    std::string pattern = {};                    // RE2-style, full match; "" = any
    std::vector<std::string> values = {};        // enum; empty = any
    std::optional<std::string> value = {};       // default or fixed value, templated
    std::string description = {};
    bool operator==(const EnvRule&) const = default;
};

}    // namespace seatrial::config
