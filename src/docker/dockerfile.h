// What a Dockerfile asks of its builder, from its text alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace seatrial::docker {

struct BuildkitNeed {
    int line = 0;        // from 1: where the instruction begins
    std::string what;    // "RUN --mount", "# syntax=", "a heredoc"
};
// The first thing that only BuildKit knows; none when the classic builder will do. Any text.
std::optional<BuildkitNeed> find_buildkit_need(std::string_view dockerfile);

}    // namespace seatrial::docker
