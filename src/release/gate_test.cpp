#include "release/gate.h"

#include <gtest/gtest.h>

namespace seatrial::release {
namespace {

using std::chrono::milliseconds;

Sample requests(std::int64_t all, std::int64_t failed) {
    Sample out;
    out.requests = all;
    out.failed = failed;
    return out;
}

TEST(Gate, FewRequestsTellNothing) {
    const Gate gate{Measure::error_rate, 0.02, Breach::hold, 50};
    EXPECT_EQ(judge(gate, requests(49, 49)).verdict, Verdict::inconclusive);
    EXPECT_EQ(judge(gate, requests(50, 0)).verdict, Verdict::pass);
    EXPECT_EQ(judge(gate, requests(100, 2)).verdict, Verdict::fail);
}

TEST(Gate, TheWorstDecides) {
    const std::vector<Gate> gates{{Measure::slow_rate, 0.1, Breach::rollback, 50},
                                  {Measure::error_rate, 0.02, Breach::hold, 50},
                                  {Measure::job_success, 0.95, Breach::stop, 0, "http://p", "q"}};
    Sample sample = requests(1000, 30);
    sample.asked[Measure::job_success] = {0.99};
    const auto decisive = worst(judge(gates, sample));
    ASSERT_TRUE(decisive);
    EXPECT_EQ(decisive->measure, Measure::error_rate);
    EXPECT_EQ(render_finding(*decisive), "error rate 3 % of 1000 requests, limit 2 %: fail");
    EXPECT_FALSE(worst({}));
    // A source that does not tell weighs more than few requests, and less than a failure.
    EXPECT_EQ(worst(judge(gates, requests(1, 0)))->measure, Measure::job_success);
    EXPECT_EQ(worst(judge(gates, requests(1000, 30)))->measure, Measure::error_rate);
}

TEST(Gate, AMigrationHasAMinute) {
    const Gate gate{Measure::migration, 60, Breach::stop, 0};
    Sample sample;
    sample.migration = milliseconds(61'000);
    EXPECT_EQ(judge(gate, sample).verdict, Verdict::fail);
    EXPECT_EQ(render_finding(judge(gate, sample)), "migration 61.0 s, limit 60 s: fail");
    sample.migration = milliseconds(59'000);
    EXPECT_EQ(judge(gate, sample).verdict, Verdict::pass);
    EXPECT_TRUE(judge(std::vector{gate}, Sample()).empty());    // it has none
}

TEST(Gate, WhatPrometheusSays) {
    const Gate jobs{Measure::job_success, 0.95, Breach::stop, 0, "http://p", "q"};
    const auto told = [&](const Gate& gate, const Measured& measured) {
        Sample sample;
        sample.asked[gate.measure] = measured;
        return render_finding(judge(gate, sample));
    };
    EXPECT_EQ(told(jobs, {0.96}), "job success 96 %, limit 95 %: pass");
    EXPECT_EQ(told(jobs, {0.95}), "job success 95 %, limit 95 %: fail");
    EXPECT_EQ(told(jobs, {std::nullopt, "Prometheus does not answer"}),
              "job success, limit 95 %: Prometheus does not answer: inconclusive");
    // Percents instead of a share: 97 would pass whatever it means.
    EXPECT_EQ(told(jobs, {97}),
              "job success, limit 95 %: the query answers 97, no share from 0 to 1: inconclusive");
    EXPECT_EQ(judge(jobs, Sample()).verdict, Verdict::inconclusive);
    const Gate errors{Measure::api_errors, 0.02, Breach::hold, 0, "http://p", "q"};
    EXPECT_EQ(told(errors, {0.01}), "API errors 1 %, limit 2 %: pass");
    EXPECT_EQ(told(errors, {0.02}), "API errors 2 %, limit 2 %: fail");
}

}    // namespace
}    // namespace seatrial::release
