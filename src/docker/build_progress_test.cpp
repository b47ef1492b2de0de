#include "docker/build_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace seatrial::docker {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// Each piece comes 100 ms after the one before.
std::vector<std::string> lines_of(BuildProgress::Format format,
                                  const std::vector<std::string>& pieces,
                                  std::string* last = nullptr) {
    std::vector<std::string> out;
    BuildProgress progress(format, [&](std::string_view line) { out.emplace_back(line); });
    BuildProgress::Time now{};
    for (const auto& piece : pieces) {
        progress.take(piece, now);
        now += milliseconds(100);
    }
    progress.end(now);
    if (last != nullptr) {
        *last = progress.last_word();
    }
    return out;
}

TEST(BuildProgress, OfTheClassicBuilder) {
    EXPECT_THAT(
        lines_of(BuildProgress::Format::classic,
                 {"Step 1/3 : FROM box\n", " ---> 0123456789ab\n", "Step 2/3 : COPY . /\n",
                  " ---> Using cache\n ---> 123456789abc\n",
                  "Step 3/3 : RUN npm ci\n ---> Running in 23456789abcd\n", "add", "ed 3\n\n",
                  "Removing intermediate container 23456789abcd\n",
                  "Successfully built 3456789abcde\nSuccessfully tagged x:1\n"}),
        ElementsAre("[1/3] FROM box", "[1/3] done in 0.2 s", "[2/3] COPY . /", "[2/3] cached",
                    "[3/3] RUN npm ci", "  added 3", "[3/3] done in 0.4 s"));
    EXPECT_THAT(lines_of(BuildProgress::Format::classic, {"Step 1/1 : RUN x\n", "no end"}),
                ElementsAre("[1/1] RUN x", "  no end", "[1/1] done in 0.2 s"));
}

TEST(BuildProgress, OfBuildkit) {
    EXPECT_THAT(
        lines_of(BuildProgress::Format::buildkit,
                 {"#1 [internal] load build definition from Dockerfile\n#1 transferring: 3B done\n",
                  "#1 DONE 0.0s\n\n#2 [build 1/2] FROM docker.io/library/node:20\n",
                  "#2 sha256:12 1MB / 2MB 0.1s\n#2 DONE 1.5s\n\n", "#3 [build 2/2] RUN npm ci\n",
                  "#3 0.234 add", "ed 3\n#4 [web 2/2] COPY . /\n#4 CACHED\n\n",
                  "#3 [build 2/2] RUN npm ci\n#3 0.300 more\n#3 DONE 12.3s\n",
                  "#5 exporting to image\n#5 naming to x done\n#5 DONE 0.1s\n"}),
        ElementsAre("[build 1/2] FROM docker.io/library/node:20", "[build 1/2] done in 1.5 s",
                    "[build 2/2] RUN npm ci", "  added 3", "[web 2/2] COPY . /", "[web 2/2] cached",
                    "  more", "[build 2/2] done in 12.3 s"));
}

TEST(BuildProgress, StagesSideBySideSayWhoseALineIs) {
    EXPECT_THAT(lines_of(BuildProgress::Format::buildkit,
                         {"#3 [a 2/2] RUN x\n#4 [b 2/2] RUN y\n#3 0.1 of x\n#4 0.1 of y\n"}),
                ElementsAre("[a 2/2] RUN x", "[b 2/2] RUN y", "[a 2/2] of x", "[b 2/2] of y"));
}

TEST(BuildProgress, BuildkitsReasonIsItsLastWord) {
    std::string last;
    EXPECT_THAT(lines_of(BuildProgress::Format::buildkit,
                         {"#5 [2/2] RUN exit 9\n#5 0.2 words\n#5 ERROR: exit code: 9\n------\n"
                          " > [2/2] RUN exit 9:\n#5 0.2 words\n------\n",
                          "ERROR: failed to solve: exit code: 9\n"},
                         &last),
                ElementsAre("[2/2] RUN exit 9", "  words", "[2/2] failed: exit code: 9"));
    EXPECT_EQ(last, "failed to solve: exit code: 9");
}

TEST(BuildProgress, WhatIsHostileStaysHarmless) {
    EXPECT_THAT(
        lines_of(BuildProgress::Format::classic, {"a\x1b[91mb\rc\x1b]0;x\n", "\x1b[0m\n\x1b[0"}),
        ElementsAre("  ab", "  c?]0;x"));
    const auto lines = lines_of(BuildProgress::Format::classic, {std::string(1 << 20, 'x') + "\n"});
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_LE(lines[0].size(), 4100U);
}

}    // namespace
}    // namespace seatrial::docker
