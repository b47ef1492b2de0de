// Whatever an engine sends, reading its streams ends, in whatever pieces it comes, and says the
// same for all of them.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/result.h"
#include "docker/streams.h"

namespace docker = seatrial::docker;

namespace {

// What was read and whether it ended well; `step`: bytes at a time.
std::pair<std::string, bool> read_objects(std::string_view text, std::size_t step) {
    docker::JsonStream stream(4096);
    std::string seen;
    while (!text.empty()) {
        const auto fed = stream.feed(text.substr(0, step), [&](const nlohmann::json& object) {
            seatrial::check(object.is_object(), "an object");
            seen += object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
            return true;
        });
        if (!fed) {
            return {seen, false};
        }
        text.remove_prefix(std::min(step, text.size()));
    }
    return {seen, true};
}

std::pair<std::string, bool> read_frames(std::string_view text, std::size_t step) {
    docker::FrameReader reader;
    std::string seen[2];
    std::size_t total = 0;
    const std::size_t given = text.size();
    bool good = true;
    while (good && !text.empty()) {
        good = reader
                   .feed(text.substr(0, step),
                         [&](docker::Stream stream, std::string_view part) {
                             seen[stream == docker::Stream::out ? 0 : 1] += part;
                             total += part.size();
                             return true;
                         })
                   .has_value();
        text.remove_prefix(std::min(step, text.size()));
    }
    seatrial::check(total <= given, "no more out than in");
    return {seen[0] + "|" + seen[1], good};
}

}    // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::size_t step = data[0] + std::size_t{1};
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    seatrial::check(read_objects(text, step) == read_objects(text, size), "pieces do not matter");
    seatrial::check(read_frames(text, step) == read_frames(text, size), "pieces do not matter");
    return 0;
}
