#include <algorithm>
#include <set>

#include "base/text.h"
#include "config/env_file.h"
#include "config/pattern.h"
#include "config/values.h"
#include "config/yaml.h"

namespace seatrial::config {
namespace {

bool is_url(std::string_view text) {
    const auto colon = text.find("://");
    if (colon == std::string_view::npos || colon == 0 || text.size() <= colon + 3) {
        return false;
    }
    const auto scheme = text.substr(0, colon);
    return scheme.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
               "0123456789+-.") == std::string_view::npos &&
           text.find_first_of(" \t\r\n") == std::string_view::npos;
}

bool is_port(std::string_view text) {
    const auto number = parse_integer(text);
    return number && *number >= 1 && *number <= 65535;
}

struct EnvType {
    std::string_view name;
    bool (*fits)(std::string_view text);
    std::string_view expected;
};
constexpr EnvType env_types[] = {
    {"string", [](std::string_view) { return true; }, "text"},
    {"integer", [](std::string_view text) { return parse_integer(text).has_value(); },
     "a whole number"},
    {"boolean", [](std::string_view text) { return parse_switch(text).has_value(); },
     "true or false"},
    {"url", is_url, "a URL (scheme://...)"},
    {"port", is_port, "a port (1 to 65535)"},
};

class EnvChecker {
public:
    EnvChecker(const std::vector<EnvRule>& rules, const std::map<std::string, std::string>& values,
               const std::string& give)
        : rules_(rules), values_(values), give_(give) {}

    void check(const EnvRule& rule);
    void missing(const EnvRule& rule, const std::vector<std::string_view>& strangers);
    std::vector<Fault> take() { return std::move(faults_); }

private:
    void fault(const EnvRule& rule, std::string message, std::string remedy) {
        faults_.push_back({"", 0, rule.name, std::move(message), std::move(remedy), false});
    }
    bool is_required(const EnvRule& rule) const;

    const std::vector<EnvRule>& rules_;
    const std::map<std::string, std::string>& values_;
    const std::string& give_;
    std::vector<Fault> faults_;
};

const std::string* value_of(const EnvRule& rule, const std::map<std::string, std::string>& values) {
    if (const auto found = values.find(rule.name); found != values.end()) {
        return &found->second;
    }
    return rule.value && rule.value->find('$') == std::string::npos ? &*rule.value : nullptr;
}

bool EnvChecker::is_required(const EnvRule& rule) const {
    if (rule.required || rule.required_if.empty()) {
        return rule.required;
    }
    const std::string_view condition = rule.required_if;
    const auto equals = condition.find('=');
    EnvRule other;
    other.name = condition.substr(0, equals);
    const auto known = std::ranges::find(rules_, other.name, &EnvRule::name);
    const auto* value = value_of(known == rules_.end() ? other : *known, values_);
    if (value == nullptr || value->empty()) {
        return false;
    }
    return equals == std::string_view::npos || *value == condition.substr(equals + 1);
}

void EnvChecker::missing(const EnvRule& rule, const std::vector<std::string_view>& strangers) {
    const bool templated = rule.value && rule.value->find('$') != std::string::npos;
    const auto* value = value_of(rule, values_);
    if (!is_required(rule) || (value != nullptr && !value->empty()) ||
        (value == nullptr && templated)) {
        return;
    }
    std::string remedy = give_.empty() ? "give it in an env file" : give_;
    if (give_.empty() && rule.secret) {
        remedy = "give it in a file named in the server's secret_files";
    }
    if (!rule.description.empty()) {
        remedy += ": " + excerpt(rule.description);
    }
    if (const auto close = suggest(rule.name, strangers)) {
        remedy = "did you mean " + *close + ", which is set?";
    }
    std::string message = value == nullptr ? "has no value" : "is empty";
    if (!rule.required) {
        message += ", which " + excerpt(rule.required_if) + " asks for";
    }
    fault(rule, message, remedy);
}

void EnvChecker::check(const EnvRule& rule) {
    const auto* value = value_of(rule, values_);
    if (value == nullptr || value->empty()) {
        return;
    }
    const std::string shown = rule.secret ? "its value (not shown)" : "'" + excerpt(*value) + "'";
    const auto* const type = std::ranges::find(env_types, rule.type, &EnvType::name);
    if (type != std::end(env_types) && !type->fits(*value)) {
        fault(rule, shown + " is not " + std::string(type->expected), "correct the value");
    }
    if (!rule.values.empty() && std::ranges::find(rule.values, *value) == rule.values.end()) {
        const std::vector<std::string_view> known(rule.values.begin(), rule.values.end());
        const auto close = rule.secret ? std::nullopt : suggest(*value, known);
        fault(rule, shown + " is not one of " + excerpt(join(rule.values, ", ")),
              close ? "did you mean '" + *close + "'?" : "choose one of them");
    }
    if (!rule.pattern.empty() && !matches_fully(rule.pattern, *value)) {
        fault(rule, shown + " does not match " + excerpt(rule.pattern), "correct the value");
    }
}

}    // namespace

std::vector<Fault> check_env(const std::vector<EnvRule>& rules,
                             const std::map<std::string, std::string>& values,
                             const std::string& give) {
    std::set<std::string_view> ruled;
    for (const auto& rule : rules) {
        ruled.insert(rule.name);
    }
    std::vector<std::string_view> strangers;    // set, but in no rule: perhaps misspelt
    for (const auto& [name, value] : values) {
        if (!ruled.contains(name)) {
            strangers.push_back(name);
        }
    }
    EnvChecker checker(rules, values, give);
    for (const auto& rule : rules) {
        checker.missing(rule, strangers);
        checker.check(rule);
    }
    return checker.take();
}

}    // namespace seatrial::config
