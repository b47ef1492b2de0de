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
    const auto gates = default_gates();
    Sample sample = requests(1000, 30);
    sample.jobs = 100;
    sample.jobs_done = 99;
    const auto findings = judge(gates, sample);
    const auto decisive = worst(findings);
    ASSERT_TRUE(decisive);
    EXPECT_EQ(decisive->measure, Measure::error_rate);
    EXPECT_EQ(render_finding(*decisive), "error rate 3 % of 1000 requests, limit 2 %: fail");
    EXPECT_FALSE(worst({}));
}

TEST(Gate, AMigrationHasAMinute) {
    const auto gates = default_gates();
    Sample sample;
    sample.migration = milliseconds(61'000);
    EXPECT_EQ(judge(gates[2], sample).verdict, Verdict::fail);
    EXPECT_EQ(judge(gates[2], {}).verdict, Verdict::pass);
    EXPECT_EQ(render_finding(judge(gates[2], sample)), "migration 61.0 s, limit 60 s: fail");
}

}    // namespace
}    // namespace seatrial::release
