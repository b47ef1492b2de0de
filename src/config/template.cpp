#include <algorithm>

#include "base/text.h"
#include "config/env_file.h"
#include "config/values.h"
#include "config/yaml.h"

namespace seatrial::config {
namespace {

constexpr std::size_t size_limit = 1 << 20;

// Calls literal(text) and variable(name) in turn; both return a Status.
template <class Literal, class Variable>
Status walk_template(std::string_view text, Literal literal, Variable variable) {
    while (!text.empty()) {
        const auto dollar = text.find('$');
        TRY(literal(text.substr(0, dollar)));
        if (dollar == std::string_view::npos) {
            return {};
        }
        text.remove_prefix(dollar);
        if (text.starts_with("$$")) {
            TRY(literal("$"));
            text.remove_prefix(2);
            continue;
        }
        if (!text.starts_with("${")) {
            TRY(literal("$"));
            text.remove_prefix(1);
            continue;
        }
        const auto end = text.find('}');
        const auto name = text.substr(2, end == std::string_view::npos ? end : end - 2);
        if (end == std::string_view::npos || !is_variable_name(name)) {
            return fail(Code::invalid, "'" + excerpt(text.substr(0, end)) + "' names no variable",
                        "write ${NAME}; a dollar itself is $$");
        }
        TRY(variable(name));
        text.remove_prefix(end + 1);
    }
    return {};
}

}    // namespace

Result<std::vector<std::string>> template_variables(std::string_view text) {
    std::vector<std::string> names;
    TRY(walk_template(
        text, [](std::string_view) { return Status{}; },
        [&](std::string_view name) {
            if (std::ranges::find(names, name) == names.end()) {
                names.emplace_back(name);
            }
            return Status{};
        }));
    return names;
}

Result<std::string> expand_template(std::string_view text,
                                    const std::map<std::string, std::string>& values) {
    std::string out;
    const auto append = [&](std::string_view part) -> Status {
        if (out.size() + part.size() > size_limit) {
            return fail(Code::invalid, "the expanded text is larger than 1 MB", "shorten it");
        }
        out += part;
        return {};
    };
    TRY(walk_template(text, append, [&](std::string_view name) -> Status {
        const auto found = values.find(std::string(name));
        if (found != values.end()) {
            return append(found->second);
        }
        std::vector<std::string_view> known;
        for (const auto& [key, value] : values) {
            known.push_back(key);
        }
        const auto close = suggest(name, known);
        return fail(Code::invalid, "nothing gives ${" + std::string(name) + "}",
                    close ? "did you mean ${" + *close + "}?" : "a dollar itself is $$");
    }));
    return out;
}

}    // namespace seatrial::config
