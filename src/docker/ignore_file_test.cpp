#include "docker/ignore_file.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace seatrial::docker {
namespace {

// Each expectation here is what the docker command does.
bool ignored(std::string_view file, std::string_view path) {
    const auto ignores = parse_ignore_file(file);
    EXPECT_TRUE(ignores) << ignores.error().message;
    return ignores && (*ignores)(path);
}

TEST(IgnoreFile, PatternsCountFromTheContextsRoot) {
    EXPECT_TRUE(ignored("node_modules\n", "node_modules/left/index.js"));
    EXPECT_FALSE(ignored("node_modules\n", "web/node_modules/left/index.js"));
    EXPECT_TRUE(ignored("**/node_modules\n", "web/node_modules/left/index.js"));
    EXPECT_TRUE(ignored("**/node_modules\n", "node_modules/a"));
    EXPECT_TRUE(ignored("/docs/\n", "docs/a.md"));
    EXPECT_TRUE(ignored("./docs/../web\n", "web/a"));
    EXPECT_FALSE(ignored("doc\n", "docs/a.md"));
}

TEST(IgnoreFile, AStarStaysInItsFolderAndTwoCross) {
    EXPECT_TRUE(ignored("*.md", "README.md"));
    EXPECT_FALSE(ignored("*.md", "docs/README.md"));
    EXPECT_TRUE(ignored("*/*.md", "docs/README.md"));
    EXPECT_TRUE(ignored("**/*.md", "a/b/README.md"));
    EXPECT_TRUE(ignored("a/**", "a/b/c"));
    EXPECT_TRUE(ignored("a/**/c", "a/c"));
    EXPECT_TRUE(ignored("a/**/c", "a/b/b/c"));
    EXPECT_TRUE(ignored("temp?", "temp1/x"));
    EXPECT_FALSE(ignored("temp?", "temp/x"));
    EXPECT_TRUE(ignored("**", "a"));
    EXPECT_TRUE(ignored("[a-c]*[^0-9]", "bx"));
    EXPECT_FALSE(ignored("[a-c]*[^0-9]", "b1"));
    EXPECT_TRUE(ignored("\\*.md", "*.md"));
    EXPECT_FALSE(ignored("\\*.md", "a.md"));
    EXPECT_FALSE(ignored("a+(b)$", "aab"));
    EXPECT_TRUE(ignored("a+(b)$", "a+(b)$"));
}

TEST(IgnoreFile, TheLastThatFitsWins) {
    EXPECT_FALSE(ignored("*.md\n!README.md\n", "README.md"));
    EXPECT_TRUE(ignored("*.md\n!README*.md\nREADME-secret.md\n", "README-secret.md"));
    EXPECT_TRUE(ignored("*\n!src\n", "package.json"));
    EXPECT_FALSE(ignored("*\n!src\n", "src/deep/a.js"));
}

TEST(IgnoreFile, LinesAreReadAsTheCommandReadsThem) {
    EXPECT_FALSE(ignored("# *\n\n   \n", "a"));
    EXPECT_TRUE(ignored("\xEF\xBB\xBF  a  \r\n", "a"));
    EXPECT_FALSE(ignored("", "a"));
    EXPECT_FALSE(ignored(".", "a"));
    EXPECT_FALSE(ignored("*\n! a\n", "a"));
}

TEST(IgnoreFile, WhatIsNoPatternIsToldWithItsLine) {
    EXPECT_EQ(parse_ignore_file("a\n!\n").error().message, "line 2: '!' without a pattern");
    EXPECT_EQ(parse_ignore_file("[a\n").error().message, "line 1: '[' has no ']'");
    EXPECT_EQ(parse_ignore_file("a\\").error().message, "line 1: nothing behind '\\'");
}

TEST(IgnoreFile, NoPatternMakesItSlow) {
    std::string stars;
    for (int i = 0; i < 50; ++i) {
        stars += "*a";
    }
    EXPECT_FALSE(ignored(stars + "**/*b", std::string(2000, 'a')));
    std::string many;    // as a large app has them, and each is looked at for every file
    for (int i = 0; i < 50; ++i) {
        many += "**/folder" + std::to_string(i) + "\n";
    }
    const auto ignores = parse_ignore_file(many).value();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 2000; ++i) {
        EXPECT_FALSE(ignores("packages/app/components/deep/file" + std::to_string(i) + ".ts"));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}    // namespace
}    // namespace seatrial::docker
