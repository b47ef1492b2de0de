#include "app/jump_guard.h"

#include <gtest/gtest.h>

namespace seatrial::app {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

class JumpGuardTest : public testing::Test {
protected:
    // Time passes; the wall clock is also set by `jump`.
    JumpGuard::Verdict after(milliseconds passed, milliseconds jump = 0ms) {
        boot += passed;
        wall += passed + jump;
        return guard.look(wall, boot);
    }
    WallTime wall{1'700'000'000'000ms};
    milliseconds boot{3h};
    JumpGuard guard{wall, boot};
};

TEST_F(JumpGuardTest, PassingTimeAndSlewingAreNoJump) {
    for (const milliseconds drift : {0ms, 500ms, -500ms, 4min + 0ms}) {
        const auto verdict = after(15min, drift);
        EXPECT_FALSE(verdict.hold);
        EXPECT_EQ(verdict.shift, 0ms);
    }
    EXPECT_FALSE(after(8h).hold);    // suspended: both clocks went on
}

TEST_F(JumpGuardTest, AJumpForwardHoldsAndThenMovesTheEnds) {
    const WallTime before = wall;
    EXPECT_TRUE(after(1min, 1h).hold);
    EXPECT_TRUE(after(9min).hold);
    const auto verdict = after(1min);
    EXPECT_FALSE(verdict.hold);
    EXPECT_EQ(verdict.shift, 1h);
    EXPECT_EQ(verdict.before, before);
    EXPECT_EQ(after(1min).shift, 0ms);    // once
}

TEST_F(JumpGuardTest, AClockSetBackInTimeChangesNothing) {
    EXPECT_TRUE(after(1min, 24h * 365).hold);
    const auto verdict = after(5min, -24h * 365);
    EXPECT_FALSE(verdict.hold);    // and not for a year
    EXPECT_EQ(verdict.shift, 0ms);
    EXPECT_EQ(after(20min).shift, 0ms);
}

TEST_F(JumpGuardTest, SeveralJumpsAddUp) {
    const WallTime before = wall;
    EXPECT_TRUE(after(1min, 1h).hold);
    EXPECT_TRUE(after(1min, 2h).hold);
    EXPECT_TRUE(after(1min, -30min).hold);
    const auto verdict = after(10min);
    EXPECT_EQ(verdict.shift, 2h + 30min);
    EXPECT_EQ(verdict.before, before);
}

TEST_F(JumpGuardTest, AJumpBackNeverHoldsNorShortens) {
    const auto verdict = after(1min, -1h);
    EXPECT_FALSE(verdict.hold);
    EXPECT_EQ(verdict.shift, 0ms);
}

}    // namespace
}    // namespace seatrial::app
