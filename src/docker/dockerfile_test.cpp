#include "docker/dockerfile.h"

#include <gtest/gtest.h>

namespace seatrial::docker {
namespace {

std::string need(std::string_view text) {
    const auto found = find_buildkit_need(text);
    return found ? std::to_string(found->line) + " " + found->what : "";
}

TEST(Dockerfile, WhatOnlyBuildkitKnowsIsFoundWithItsLine) {
    EXPECT_EQ(need("FROM a\nRUN --mount=type=cache,target=/c npm ci\n"), "2 RUN --mount");
    EXPECT_EQ(need("from a\n\nrun \\\n  # why\n  --mount=type=ssh git clone x"), "3 RUN --mount");
    EXPECT_EQ(need("# Syntax = docker/dockerfile:1\nFROM a\n"), "1 # syntax=");
    EXPECT_EQ(need("\xEF\xBB\xBF# escape=`\n#syntax=x\nFROM a\n"), "2 # syntax=");
    EXPECT_EQ(need("FROM a\r\nRUN <<EOF\r\necho\r\nEOF\r\n"), "2 a heredoc");
    EXPECT_EQ(need("FROM a\nCOPY <<-'END' /x\nhello\nEND\n"), "2 a heredoc");
    EXPECT_EQ(need("FROM a\nRUN cat 3<<EOF\n"), "2 a heredoc");
    EXPECT_EQ(need("FROM a\nCOPY --from=b --link x y\n"), "2 COPY --link");
    EXPECT_EQ(need("FROM a\nADD --chmod=755 x y\n"), "2 ADD --chmod");
    EXPECT_EQ(need("FROM a\nONBUILD RUN --mount=type=tmpfs,target=/t x\n"), "2 RUN --mount");
    EXPECT_EQ(need("# escape=`\nFROM a\nRUN `\n --network=none x\n"), "3 RUN --network");
    EXPECT_EQ(need("FROM a\nRUN --mount=type=cache,target=/c x \\"), "2 RUN --mount");
}

TEST(Dockerfile, WhatTheClassicBuilderKnowsIsNotRefused) {
    EXPECT_EQ(need(""), "");
    EXPECT_EQ(need("FROM --platform=linux/amd64 a\nCOPY --chown=1:1 --from=b x y\n"), "");
    EXPECT_EQ(need("# about syntax = nice\nFROM a\n# syntax=docker/dockerfile:1\nRUN x\n"), "");
    EXPECT_EQ(need("FROM a\n\n# RUN --mount=type=cache x\nRUN echo --mount=x\n"), "");
    EXPECT_EQ(need("FROM a\nRUN echo \"a <<EOF\" $((1 << 2)) && cat <<<word\n"), "");
    EXPECT_EQ(need("FROM a\nRUN echo x \\\n && echo '\\\n --link'\n"), "");
    EXPECT_EQ(need("FROM a\nHEALTHCHECK --interval=5s CMD x\nCMD [\"--mount\"]\n"), "");
    EXPECT_EQ(need("FROM a\nRUN x \\\n\n\n&& y\n"), "");
}

}    // namespace
}    // namespace seatrial::docker
