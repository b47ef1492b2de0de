// .env files: parsed, never sourced. KEY=value, export KEY=value, '#' comments, single quotes
// (literal), double quotes (\n \r \t \" \\ \$ escapes); quoted values may span lines, as keys and
// certificates do. No expansion of any kind.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace seatrial::config {

struct EnvEntry {
    std::string value;
    int line = 0;
};
// At most 1 MB and 10,000 entries; a later duplicate wins and is a warning.
Parsed<std::map<std::string, EnvEntry>> parse_env_file(std::string_view text,
                                                       const std::string& name);

// Replaces ${NAME} by its value; unknown names are errors naming the closest known one; "$$" is
// a dollar. Values are not expanded again; the result has at most 1 MB.
Result<std::string> expand_template(std::string_view text,
                                    const std::map<std::string, std::string>& values);

// The names that a template uses, each once; `invalid` when a "${" is not closed or names no
// variable.
Result<std::vector<std::string>> template_variables(std::string_view text);

// Checks values against the app's env schema; every fault at once, secret values never shown. A
// rule's own value counts when `values` has none (unless it is a template: expand it first).
// `give`: the remedy for one that is missing; "" = that of previews. Fault::key is the variable;
// Fault::file and line are for the caller to fill.
std::vector<Fault> check_env(const std::vector<EnvRule>& rules,
                             const std::map<std::string, std::string>& values,
                             const std::string& give = "");

}    // namespace seatrial::config
