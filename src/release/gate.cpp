#include "release/gate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace seatrial::release {
namespace {

struct Text {
    std::string_view name, words, of;
};

constexpr std::array<Text, 5> measures{{
    {"error_rate", "error rate", "requests"},
    {"slow_rate", "slow rate", "requests"},
    {"job_success", "job success", ""},
    {"migration", "migration", ""},
    {"api_errors", "API errors", ""},
}};

const Text& text_of(Measure measure) {
    return measures.at(static_cast<std::size_t>(measure));
}

double ratio(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent(double rate) {
    std::array<char, 32> out{};
    std::snprintf(out.data(), out.size(), "%.3g %%", rate * 100);
    return out.data();
}

}    // namespace

std::string_view to_string(Verdict verdict) {
    static constexpr std::array<std::string_view, 3> names{"pass", "fail", "inconclusive"};
    return names.at(static_cast<std::size_t>(verdict));
}

std::string_view to_string(Measure measure) {
    return text_of(measure).name;
}

std::string_view to_string(Breach breach) {
    static constexpr std::array<std::string_view, 3> names{"stop", "hold", "rollback"};
    return names.at(static_cast<std::size_t>(breach));
}

namespace {

// A share that Prometheus was asked for.
void judge_asked(const Gate& gate, const Sample& sample, Finding& out) {
    const auto found = sample.asked.find(gate.measure);
    const Measured measured = found == sample.asked.end() ? Measured{} : found->second;
    if (!measured.value) {
        out.why = measured.why.empty() ? "nothing is measured" : measured.why;
        return;
    }
    out.value = *measured.value;
    if (!(out.value >= 0 && out.value <= 1)) {
        std::array<char, 80> text{};
        std::snprintf(text.data(), text.size(), "the query answers %.6g, no share from 0 to 1",
                      out.value);
        out.why = text.data();
        return;
    }
    const bool good =
        gate.measure == Measure::job_success ? out.value > gate.limit : out.value < gate.limit;
    out.verdict = good ? Verdict::pass : Verdict::fail;
}

}    // namespace

nlohmann::json to_json(const Gate& gate) {
    return {{"measure", static_cast<int>(gate.measure)},
            {"limit", gate.limit},
            {"on_breach", static_cast<int>(gate.on_breach)},
            {"min_sample", gate.min_sample},
            {"prometheus", gate.prometheus},
            {"query", gate.query}};
}

Gate gate_of(const nlohmann::json& in) {
    return {static_cast<Measure>(in.at("measure").get<int>()),
            in.at("limit"),
            static_cast<Breach>(in.at("on_breach").get<int>()),
            in.at("min_sample"),
            in.value("prometheus", ""),
            in.value("query", "")};
}

Finding judge(const Gate& gate, const Sample& sample) {
    Finding out{gate.measure, Verdict::inconclusive, 0, gate.limit, 0, gate.on_breach};
    bool good = false;
    switch (gate.measure) {
        case Measure::error_rate:
        case Measure::slow_rate:
            out.sample = sample.requests;
            out.value = ratio(gate.measure == Measure::error_rate ? sample.failed : sample.slow,
                              sample.requests);
            good = out.value < gate.limit;
            break;
        case Measure::job_success:
        case Measure::api_errors: judge_asked(gate, sample, out); return out;
        case Measure::migration:
            out.value = std::chrono::duration<double>(
                            sample.migration.value_or(std::chrono::milliseconds(0)))
                            .count();
            good = out.value < gate.limit;
            out.sample = gate.min_sample;
            break;
    }
    if (out.sample >= gate.min_sample) {
        out.verdict = good ? Verdict::pass : Verdict::fail;
    }
    return out;
}

std::vector<Finding> judge(const std::vector<Gate>& gates, const Sample& sample) {
    std::vector<Finding> out;
    out.reserve(gates.size());
    for (const auto& gate : gates) {
        if (gate.measure != Measure::migration || sample.migration) {
            out.push_back(judge(gate, sample));
        }
    }
    return out;
}

std::optional<Finding> worst(const std::vector<Finding>& findings) {
    // Weight of a finding: which of two decides.
    const auto weight = [](const Finding& finding) {
        if (finding.verdict == Verdict::fail) {
            return 3 + static_cast<int>(finding.on_breach);
        }
        const int silent = finding.why.empty() ? 1 : 2;
        return finding.verdict == Verdict::inconclusive ? silent : 0;
    };
    const auto found =
        std::max_element(findings.begin(), findings.end(),
                         [&](const Finding& a, const Finding& b) { return weight(a) < weight(b); });
    return found == findings.end() ? std::nullopt : std::optional<Finding>(*found);
}

std::string render_finding(const Finding& finding) {
    const Text& text = text_of(finding.measure);
    std::string out(text.words);
    if (finding.measure == Measure::migration) {
        std::array<char, 64> seconds{};
        std::snprintf(seconds.data(), seconds.size(), " %.1f s, limit %.0f s", finding.value,
                      finding.limit);
        out += seconds.data();
    } else if (!finding.why.empty()) {
        out += ", limit " + percent(finding.limit) + ": " + finding.why;
    } else if (text.of.empty()) {
        out += " " + percent(finding.value) + ", limit " + percent(finding.limit);
    } else {
        out += " " + percent(finding.value) + " of " + std::to_string(finding.sample) + " " +
               std::string(text.of) + ", limit " + percent(finding.limit);
    }
    return out + ": " + std::string(to_string(finding.verdict));
}

}    // namespace seatrial::release
