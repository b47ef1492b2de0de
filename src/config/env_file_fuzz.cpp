// Whatever the bytes, reading an env file and expanding its values ends, and no fault shows a
// value.
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/text.h"
#include "config/env_file.h"

namespace config = seatrial::config;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto parsed = config::parse_env_file(text, "f");
    std::map<std::string, std::string> values;
    std::vector<config::EnvRule> rules;
    for (const auto& [name, entry] : parsed.value) {
        seatrial::check(entry.line > 0, "an entry has a line");
        seatrial::check(entry.value.find('\0') == std::string::npos, "no NUL");
        values[name] = entry.value;
        rules.push_back({.name = name, .required = true, .secret = true, .type = "url"});
    }
    for (const auto& fault : config::check_env(rules, values)) {
        seatrial::check(fault.message == "is empty" ||
                            fault.message == "its value (not shown) is not a URL (scheme://...)",
                        "a secret is not shown");
    }
    for (const auto& [name, value] : values) {
        const auto expanded = config::expand_template(value, values);
        const auto names = config::template_variables(value);
        seatrial::check(names.has_value() || !expanded.has_value(), "both judge alike");
    }
    return 0;
}
