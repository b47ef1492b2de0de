// Whatever a client sends as a target: parsing ends, and what is taken holds what message.h says.
#include <cstddef>
#include <cstdint>

#include "base/text.h"
#include "http/message.h"

namespace http = seatrial::http;

namespace {

void check_text(std::string_view text) {
    seatrial::check(seatrial::is_valid_utf8(text), "valid UTF-8");
    for (const char c : text) {
        seatrial::check(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "no control character");
    }
}

}    // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view target(reinterpret_cast<const char*>(data), size);
    http::Request request;
    if (!http::parse_target(target, request)) {
        return 0;
    }
    seatrial::check(request.target == target, "kept as sent");
    seatrial::check(request.path.starts_with('/'), "a path");
    check_text(request.path);
    for (const auto& segment : request.segments) {
        check_text(segment);
    }
    for (const auto& [name, value] : request.query) {
        check_text(name);
        check_text(value);
        seatrial::check(request.query_value(name).has_value(), "found again");
    }
    return 0;
}
