// Whatever a Dockerfile holds and a builder says: reading it ends, what is shown is safe to print,
// and it does not matter how the output was cut.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/text.h"
#include "docker/build_progress.h"
#include "docker/dockerfile.h"

namespace docker = seatrial::docker;
using docker::BuildProgress;

namespace {

std::string show(BuildProgress::Format format, std::string_view text, std::size_t step) {
    std::string out;
    BuildProgress progress(format, [&](std::string_view line) {
        seatrial::check(seatrial::printable(line) == line, "safe to print");
        out += std::string(line) + "\n";
    });
    while (!text.empty()) {
        progress.take(text.substr(0, step), {});
        text.remove_prefix(std::min(step, text.size()));
    }
    progress.end({});
    return out + progress.last_word();
}

}    // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto format : {BuildProgress::Format::classic, BuildProgress::Format::buildkit}) {
        seatrial::check(show(format, text, 7) == show(format, text, size + 1), "however cut");
    }
    if (const auto need = docker::find_buildkit_need(text)) {
        seatrial::check(need->line > 0 && !need->what.empty(), "a place and a name");
    }
    return 0;
}
