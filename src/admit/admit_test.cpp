#include "admit/admit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::admit {
namespace {

using testing::HasSubstr;

struct AdmitTest : testing::Test {
    AdmitTest() {
        server = config::default_server();
        environment.name = "int";
        environment.max = 2;
    }
    config::Server server;
    config::Environment environment;
    Proposal proposal{
        "shop", "DEMO-1", "int", "refs/heads/feature/x", "standard", std::int64_t{10} << 30, false};
    std::vector<Occupant> full{{"shop", "A-1", "running", std::nullopt},
                               {"shop", "A-2", "failed", std::nullopt}};
};

TEST_F(AdmitTest, LetsAnOrdinaryBranchIn) {
    EXPECT_TRUE(check_policy(proposal, server, environment));
}

TEST_F(AdmitTest, RefusesANewOneWhenFullAndNamesTheHolders) {
    const auto refused = check_room(proposal, environment, full);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().message, HasSubstr("A-1"));
    EXPECT_THAT(refused.error().message, HasSubstr("A-2"));
}

TEST_F(AdmitTest, NamesSomeOfACrowdOnly) {
    full.assign(1000, {"shop", "A-1", "running", std::nullopt});
    const auto refused = check_room(proposal, environment, full);
    ASSERT_FALSE(refused);
    EXPECT_LT(refused.error().message.size(), 500U);
    EXPECT_THAT(refused.error().message, HasSubstr("and 990 more"));
}

TEST_F(AdmitTest, NeverRefusesAnUpdateForLackOfRoomOrDisk) {
    proposal.update = true;
    proposal.free_bytes = 0;
    EXPECT_TRUE(check_room(proposal, environment, full));
    EXPECT_TRUE(check_policy(proposal, server, environment));
}

TEST_F(AdmitTest, RefusesANewOneOnAFullDisk) {
    proposal.free_bytes = 1 << 20;
    const auto refused = check_policy(proposal, server, environment);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::unavailable);
}

TEST_F(AdmitTest, RefusesLessIsolationThanAskedFor) {
    environment.min_isolation = "strong";
    const auto refused = check_policy(proposal, server, environment);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().message, HasSubstr("strong"));
}

TEST_F(AdmitTest, TellsAllReasonsAtOnce) {
    environment.approval = true;
    environment.branches = {"release/*", "rc/*"};
    const auto refused = check_policy(proposal, server, environment);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("approval"));
    EXPECT_THAT(refused.error().message, HasSubstr("release/*"));
}

TEST_F(AdmitTest, SwitchedOffMeansOff) {
    server.enabled = false;
    EXPECT_FALSE(check_policy(proposal, server, environment));
}

TEST(GlobTest, MatchesAsPeopleExpect) {
    EXPECT_TRUE(matches_glob("release/*", "release/1.2"));
    EXPECT_TRUE(matches_glob("*", ""));
    EXPECT_TRUE(matches_glob("a*b*c", "a-x-b-y-c"));
    EXPECT_TRUE(matches_glob("rc/?", "rc/1"));
    EXPECT_FALSE(matches_glob("release/*", "hotfix/release/1"));
    EXPECT_FALSE(matches_glob("rc/?", "rc/12"));
    EXPECT_FALSE(matches_glob("", "x"));
    // Many stars over a long text end in time.
    EXPECT_FALSE(matches_glob(std::string(200, '*') + "b", std::string(5000, 'a')));
}

}    // namespace
}    // namespace seatrial::admit
