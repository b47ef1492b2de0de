#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"

namespace seatrial::docker {

// Of a path relative to the build context. Time: its length by that of the patterns. Thread: any.
using Ignores = std::function<bool(std::string_view path)>;

// .dockerignore: what of a context its builder does not get. Read as the docker command does
// (docs.docker.com/build/concepts/context/#dockerignore-files): a line a pattern, "#" a comment,
// "*" and "?" within a folder, "**" across folders, "[a-z]", a backslash takes the next character
// as it is, "!" takes back; the last that fits a file or a folder above it wins. Any text. Errors:
// `invalid`, with the line.
Result<Ignores> parse_ignore_file(std::string_view text);

}    // namespace seatrial::docker
