#include "docker/streams.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "docker/json.h"

namespace seatrial::docker {
namespace {

constexpr std::size_t header_bytes = 8;

bool is_space(char byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

}    // namespace

Result<bool> JsonStream::feed(std::string_view text, const OnObject& on_object) {
    for (const char byte : text) {
        TRY_ASSIGN(const bool go_on, take(byte, on_object));
        if (!go_on) {
            return false;
        }
    }
    return true;
}

Result<bool> JsonStream::take(char byte, const OnObject& on_object) {
    if (depth_ == 0 && is_space(byte)) {
        return true;
    }
    if (depth_ == 0 && byte != '{') {
        return fail(Code::invalid, "the engine sent something else than JSON objects");
    }
    if (object_.size() >= limit_) {
        return fail(Code::invalid, "the engine sent too large an object");
    }
    object_ += byte;
    if (in_text_) {
        in_text_ = after_backslash_ || byte != '"';
        after_backslash_ = !after_backslash_ && byte == '\\';
        return true;
    }
    in_text_ = byte == '"';
    const bool opens = byte == '{' || byte == '[';
    const bool closes = byte == '}' || byte == ']';
    depth_ += opens ? 1 : closes ? -1 : 0;
    if (depth_ > 0) {
        return true;
    }
    const std::string whole = std::exchange(object_, {});
    TRY_ASSIGN(const nlohmann::json object, parse_json(whole));
    return on_object(object);
}

Result<bool> FrameReader::feed(std::string_view bytes, const OnText& on_text) {
    while (!bytes.empty()) {
        if (left_ > 0) {
            const auto piece = bytes.substr(0, left_);
            left_ -= static_cast<std::uint32_t>(piece.size());
            bytes.remove_prefix(piece.size());
            if (!on_text(stream_, piece)) {
                return false;
            }
            continue;
        }
        const auto part = bytes.substr(0, header_bytes - header_.size());
        header_ += part;
        bytes.remove_prefix(part.size());
        if (header_.size() < header_bytes) {
            return true;
        }
        const std::string header = std::exchange(header_, {});
        if (header[0] < 1 || header[0] > 2 || header.substr(1, 3) != std::string(3, '\0')) {
            return fail(Code::invalid, "the container's output does not come in frames");
        }
        stream_ = header[0] == 1 ? Stream::out : Stream::err;
        for (std::size_t i = 4; i < header_bytes; ++i) {
            left_ = (left_ << 8U) | static_cast<unsigned char>(header[i]);
        }
    }
    return true;
}

}    // namespace seatrial::docker
