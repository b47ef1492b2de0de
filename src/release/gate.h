// Gates: a condition on what was measured, with three outcomes. "No data" is neither good nor bad:
// a quiet staging server must not fail a release, nor may silence pass one.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial::release {

enum class Verdict { pass, fail, inconclusive };
std::string_view to_string(Verdict verdict);

enum class Measure {
    error_rate,     // failed ÷ all requests, app's and edge's failures
    slow_rate,      // slow ÷ all requests
    job_success,    // done ÷ ended jobs, by Prometheus
    migration,      // seconds that the migration took
    api_errors,     // failed ÷ all requests, by Prometheus
};
std::string_view to_string(Measure measure);

// What becomes of a release whose gate fails (R9).
enum class Breach {
    stop,        // the deploy ends where it is; people decide
    hold,        // wait for `hold`, then stop
    rollback,    // back to the previous release
};
std::string_view to_string(Breach breach);

struct Gate {
    Measure measure = Measure::error_rate;
    double limit = 0;    // a rate 0..1, or seconds
    Breach on_breach = Breach::rollback;
    std::int64_t min_sample = 50;    // requests; fewer are inconclusive
    std::string prometheus = {};     // of those that it is asked for: its URL
    std::string query = {};          // gives a share, 0..1; `${SEATRIAL_RELEASE}` is the tag
};

// What Prometheus says; without a value why there is none.
struct Measured {
    std::optional<double> value;
    std::string why = {};
};

// Of the window that the gate looks at, for the new release alone.
struct Sample {
    std::int64_t requests = 0, failed = 0, slow = 0;
    std::map<Measure, Measured> asked;
    std::optional<std::chrono::milliseconds> migration;    // of this rollout; absent: it had none
};

struct Finding {
    Measure measure = Measure::error_rate;
    Verdict verdict = Verdict::inconclusive;
    double value = 0;
    double limit = 0;
    std::int64_t sample = 0;
    Breach on_breach = Breach::rollback;
    std::string why = {};    // it cannot be told at all; that holds a release after the switch, too
};

nlohmann::json to_json(const Gate& gate);
Gate gate_of(const nlohmann::json& in);    // throws as nlohmann does

// What was measured at one look, and what it means.
struct Judged {
    Sample sample;
    std::vector<Finding> findings;
};

Finding judge(const Gate& gate, const Sample& sample);
// Without those on what the release has none of.
std::vector<Finding> judge(const std::vector<Gate>& gates, const Sample& sample);
// The one that decides: the worst breach, else an inconclusive one, else a pass. Empty: no gates.
std::optional<Finding> worst(const std::vector<Finding>& findings);
// "error rate 3.1 % of 412 requests, limit 2 %: fail".
std::string render_finding(const Finding& finding);

}    // namespace seatrial::release
