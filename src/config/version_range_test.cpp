#include "config/version_range.h"

#include <gtest/gtest.h>

namespace seatrial::config {
namespace {

bool in(std::string_view range, std::string_view version) {
    const auto parsed = VersionRange::parse(range);
    const auto number = parse_version(version);
    EXPECT_TRUE(parsed) << range;
    EXPECT_TRUE(number) << version;
    return parsed && number && parsed->contains(*number);
}

TEST(VersionRange, HasItsVersions) {
    struct Row {
        std::string_view range, has, lacks;
    };
    constexpr Row rows[] = {
        {">=1.2 <2", "1.2.0", "2.0.0"},     {">=1.2 <2", "1.99.7", "1.1.9"},
        {"^1.4", "1.9.0", "2.0.0"},         {"^1.4.2", "1.4.2", "1.4.1"},
        {"^0.3.1", "0.3.9", "0.4.0"},       {"^0.0.3", "0.0.3", "0.0.4"},
        {"^0", "0.9.0", "1.0.0"},           {"~1.4.2", "1.4.9", "1.5.0"},
        {"~1", "1.9.0", "2.0.0"},           {"1.x", "1.7.1", "2.0.0"},
        {"1.4", "1.4.9", "1.5.0"},          {"=1.4.0", "1.4.0", "1.4.1"},
        {">1.4", "1.5.0", "1.4.9"},         {"<=1.4", "1.4.9", "1.5.0"},
        {"1.4 || >=2.1", "2.3.0", "2.0.0"}, {"1.4||3", "1.4.7", "2.0.0"},
        {"v1.4", "v1.4.2", "1.3.0"},
    };
    for (const auto& row : rows) {
        EXPECT_TRUE(in(row.range, row.has)) << row.range << " has " << row.has;
        EXPECT_FALSE(in(row.range, row.lacks)) << row.range << " lacks " << row.lacks;
    }
    EXPECT_TRUE(in("*", "0.0.0"));
}

TEST(VersionRange, APreReleaseIsTheVersionItLeadsTo) {
    EXPECT_TRUE(in(">=1.4", "1.4.0-rc.1"));
    EXPECT_FALSE(in("<2", "2.0.0-rc.1"));
    EXPECT_TRUE(in("1.4", "1.4.0-3f2a9c1"));    // as a release's tag has it
    EXPECT_TRUE(in("1.4", "1.4.0+build.7"));
}

TEST(VersionRange, WhatIsNoneIsToldApart) {
    for (const std::string_view text :
         {"", " ", "||", "1 ||", "latest", "1.2.3.4", ">=", "1..2", ">> 1", "1.x.2", "-1", "+1",
          "99999999999", "1 - 2", ">= 1.2"}) {
        EXPECT_FALSE(VersionRange::parse(text)) << text;
    }
    for (const std::string_view text : {"", "latest", "x", "1.2.3.4", "2026-11"}) {
        EXPECT_EQ(parse_version(text).has_value(), text == "2026-11") << text;
    }
    std::string many = "1";
    for (int i = 0; i < 10'000; ++i) {
        many += " || 1";
    }
    EXPECT_FALSE(VersionRange::parse(many));
}

}    // namespace
}    // namespace seatrial::config
