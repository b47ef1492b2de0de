// Checks of a release: asks it as a client would, and compares. What an answer holds is never
// told, only whether it fits: it may be anybody's data.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "config/release_check.h"
#include "net/client.h"

namespace seatrial::checks {

struct Target {
    std::string url;                 // "http://127.0.0.1:4400", paths are added
    net::Pairs headers{};            // sent with every request
    bool any_certificate = false;    // of https; see net::ClientRequest
};

struct Outcome {
    std::string check;    // "GET /readyz"
    bool good = false;
    std::string seen;    // in words, bounded
};

// In order, each whatever became of the others; metrics are read before all others and judged after
// them. An error is the context's alone.
Result<std::vector<Outcome>> run(const std::vector<config::ReleaseCheck>& checks,
                                 const Target& target, const Context& ctx);
// One line for each that failed; "" when none did.
std::string render_failures(const std::vector<Outcome>& outcomes);

// In Prometheus' text format: the sum of all samples of `name`. nullopt: there is none.
std::optional<double> metric_sum(std::string_view text, std::string_view name);
// "/jobs/{id}" by the members of a JSON object; nullopt when one is not there, or no plain value.
std::optional<std::string> fill_path(std::string_view path, const nlohmann::json& members);

nlohmann::json to_json(const std::vector<config::ReleaseCheck>& checks);
// Throws as nlohmann does. A text alone is a path to get.
std::vector<config::ReleaseCheck> checks_of(const nlohmann::json& in);

}    // namespace seatrial::checks
