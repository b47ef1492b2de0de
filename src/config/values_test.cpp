#include "config/values.h"

#include <gtest/gtest.h>

#include "config/pattern.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;

TEST(Values, Durations) {
    EXPECT_EQ(parse_duration("90s"), 90s);
    EXPECT_EQ(parse_duration("1h30m"), 90min);
    EXPECT_EQ(parse_duration("500ms"), 500ms);
    EXPECT_EQ(parse_duration("7d"), 168h);
    EXPECT_EQ(parse_duration("0s"), 0ms);
    for (const char* bad : {"", "5", "h", "1h1h", "1m1h", "-1s", "1.5h", "1 h", "9999999999999999d",
                            "106751991167d106751991167h", "1H", "+1s"}) {
        EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
    }
    EXPECT_EQ(render_duration(90min), "1h30m");
    EXPECT_EQ(render_duration(0ms), "0s");
    EXPECT_EQ(render_duration(24h * 30 + 5ms), "30d5ms");
}

TEST(Values, Sizes) {
    EXPECT_EQ(parse_size("4096"), 4096);
    EXPECT_EQ(parse_size("512M"), 512LL << 20);
    EXPECT_EQ(parse_size("2GB"), 2LL << 30);
    EXPECT_EQ(parse_size("2GiB"), 2LL << 30);
    EXPECT_EQ(parse_size("1T"), 1LL << 40);
    for (const char* bad : {"", "M", "5X", "-1", "1.5G", "9999999999T", "1m", "1 G"}) {
        EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
    }
}

TEST(Values, NumbersAndSwitches) {
    EXPECT_EQ(parse_percent("150%"), 150);
    EXPECT_EQ(parse_percent("-1%"), std::nullopt);
    EXPECT_EQ(parse_percent("99999999999"), std::nullopt);
    EXPECT_EQ(parse_integer("-7"), -7);
    EXPECT_EQ(parse_integer("7 "), std::nullopt);
    EXPECT_EQ(parse_integer(""), std::nullopt);
    EXPECT_EQ(parse_boolean("true"), true);
    EXPECT_EQ(parse_boolean("yes"), std::nullopt);
    EXPECT_EQ(parse_switch("Yes"), true);
    EXPECT_EQ(parse_switch("off"), false);
    EXPECT_EQ(parse_switch(""), std::nullopt);
}

TEST(Values, Names) {
    EXPECT_TRUE(is_variable_name("_A1"));
    for (const auto& bad : {std::string(), std::string("1A"), std::string("A-B"),
                            std::string("\xc3\x84"), std::string(200, 'A')}) {
        EXPECT_FALSE(is_variable_name(bad)) << bad;
    }
    EXPECT_TRUE(is_short_name("web-2", 32));
    for (const char* bad : {"", "2web", "web-", "-web", "Web", "we_b", "w b"}) {
        EXPECT_FALSE(is_short_name(bad, 32)) << bad;
    }
    EXPECT_FALSE(is_short_name(std::string(33, 'a'), 32));
    EXPECT_EQ(variable_prefix("web-admin"), "WEB_ADMIN");
}

TEST(Values, PathsBelowTheTree) {
    for (const char* good : {"a", "a/b", "./a/", ".env", "a/..b", "packages/*/x"}) {
        EXPECT_TRUE(is_path_below(good)) << good;
    }
    for (const char* bad : {"", "/", "/a", "..", "a/../b", "a/..", ".", "a//b", "a\nb", "./"}) {
        EXPECT_FALSE(is_path_below(bad)) << bad;
    }
    EXPECT_EQ(clean_path("././a/b//"), "a/b");
}

TEST(Values, Hosts) {
    for (const char* good : {"localhost", "a.b-c.example", "127.0.0.1", "[::1]"}) {
        EXPECT_TRUE(is_host(good)) << good;
    }
    for (const char* bad : {"", "a b", "a:1", "http://a", "-a", "a/b", "[]", "::1"}) {
        EXPECT_FALSE(is_host(bad)) << bad;
    }
}

TEST(Pattern, FindsTheIssueKey) {
    const std::string pattern = "[A-Z][A-Z0-9]+-[0-9]+";
    EXPECT_EQ(find_match(pattern, "feature/PROJ-123-login"), "PROJ-123");
    EXPECT_EQ(find_match(pattern, "main"), std::nullopt);
    EXPECT_EQ(find_match("issue-([0-9]+)", "fix/issue-42"), "42");
    EXPECT_EQ(find_match("x*", "abc"), std::nullopt);
    EXPECT_EQ(find_match("(", "abc"), std::nullopt);
    EXPECT_EQ(find_match("a|(b)", "a"), "a");
    EXPECT_TRUE(matches_fully("[a-z]+", "abc"));
    EXPECT_FALSE(matches_fully("[a-z]+", "abc1"));
    EXPECT_FALSE(matches_fully("(", ""));
    EXPECT_TRUE(pattern_fault("(((a{1000}){1000}){1000})").has_value());
    EXPECT_FALSE(pattern_fault("a").has_value());
}

}    // namespace
}    // namespace seatrial::config
