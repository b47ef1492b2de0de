#include "release/compatibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace seatrial::release {
namespace {

using testing::HasSubstr;

// A release of that name: web and worker of these versions.
Content content(const std::string& name, const std::string& web, const std::string& worker,
                const config::Compatibility& rules = {}) {
    Content out;
    out.release = out.tag = name;
    out.components.resize(2);
    out.components[0].name = "web";
    out.components[0].version = web;
    out.components[1].name = "worker";
    out.components[1].version = worker;
    out.compatibility = rules;
    return out;
}

Standing standing(const Content& content, Phase phase) {
    Standing out;
    out.contents["a"] = content;
    out.state.slots["a"].release = content.release;
    out.state.slots["a"].phase = phase;
    out.state.stable = "a";
    return out;
}

const config::Compatibility needs_web_1{{"worker", {{"web", ">=1.2 <2"}}}};

std::string refusal(const Content& wanted, const Standing& there) {
    const Status out = check_beside(wanted, there, "prd");
    return out ? "" : render_error(out.error()) + "\n" + out.error().hint;
}

TEST(Compatibility, WhatServesMustFit) {
    const Standing there = standing(content("old", "1.4.0", "1.4.0", needs_web_1), Phase::serving);
    EXPECT_EQ(refusal(content("new", "1.9.0", "1.9.0"), there), "");
    const std::string told = refusal(content("new", "2.0.0", "2.0.0"), there);
    EXPECT_THAT(told, HasSubstr("new cannot run beside what serves in prd"));
    EXPECT_THAT(told, HasSubstr("worker 1.4.0 of old works with web >=1.2 <2, not with web 2.0.0 "
                                "of new"));
    EXPECT_THAT(told, HasSubstr("first deploy a release"));
}

TEST(Compatibility, TheRulesOfBothCount) {
    const Standing there = standing(content("old", "1.1.0", "1.1.0"), Phase::serving);
    EXPECT_THAT(
        refusal(content("new", "1.2.0", "1.2.0", needs_web_1), there),
        HasSubstr("worker 1.2.0 of new works with web >=1.2 <2, not with web 1.1.0 of old"));
}

TEST(Compatibility, WhatDrainsIsWaitedFor) {
    const Content old = content("old", "1.4.0", "1.4.0", needs_web_1);
    const Content wanted = content("new", "2.0.0", "2.0.0");
    EXPECT_THAT(refusal(wanted, standing(old, Phase::draining)), HasSubstr("when it has drained"));
    for (const Phase phase : {Phase::warm, Phase::failed, Phase::starting}) {
        EXPECT_EQ(refusal(wanted, standing(old, phase)), "") << to_string(phase);
    }
    EXPECT_EQ(refusal(old, standing(old, Phase::serving)), "");    // the same release
}

TEST(Compatibility, WithoutAVersionTheTagTells) {
    const Standing there = standing(content("1.4.0-3f2a9c1", "", "", needs_web_1), Phase::serving);
    EXPECT_EQ(refusal(content("new", "1.9.0", "1.9.0"), there), "");
    EXPECT_NE(refusal(content("new", "2.0.0", "2.0.0"), there), "");
    EXPECT_NE(refusal(content("new", "next", "next"), there), "");
}

TEST(Compatibility, OfOneRelease) {
    EXPECT_TRUE(check_own({{"web", "1.3.0"}, {"worker", "1.0.0"}}, needs_web_1));
    EXPECT_TRUE(check_own({{"worker", "1.0.0"}}, needs_web_1));
    const Status wrong = check_own({{"web", "2.0.0"}, {"worker", "1.0.0"}}, needs_web_1);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Code::invalid);
    EXPECT_THAT(wrong.error().message,
                HasSubstr("worker 1.0.0 works with web >=1.2 <2, not with web 2.0.0"));
}

TEST(Compatibility, AnImagesTagIsItsVersion) {
    EXPECT_EQ(version_of_image("nginx:1.27.3-alpine"), "1.27.3-alpine");
    EXPECT_EQ(version_of_image("host:5000/a/nginx"), "");
    EXPECT_EQ(version_of_image("host:5000/a/nginx:1.2@sha256:00"), "1.2");
    EXPECT_EQ(version_of_image("nginx@sha256:00"), "");
    EXPECT_EQ(version_of_image("nginx:stable"), "");
}

TEST(Compatibility, IsRecorded) {
    const Content before = content("old", "1.4.0", "1.5.0", needs_web_1);
    const Content after = content_of(to_json(before));
    EXPECT_EQ(after.compatibility, before.compatibility);
    EXPECT_EQ(after.components[1].version, "1.5.0");
}

}    // namespace
}    // namespace seatrial::release
