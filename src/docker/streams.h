// The two formats in which an engine sends what goes on: JSON objects one after the other (events,
// progress of builds, pulls and pushes), and the frames of a container's output (8 bytes: stream,
// three zeros, length, big-endian; then that many bytes).
// They come in pieces cut anywhere. Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace seatrial::docker {

class JsonStream {
public:
    // `limit_bytes`: of one object.
    explicit JsonStream(std::size_t limit_bytes = 4 << 20) : limit_(limit_bytes) {}
    using OnObject = std::function<bool(const nlohmann::json& object)>;
    // Calls `on_object` for each object that `text` completes; false when it returned false.
    // `invalid`: something else than objects, too large, too deep.
    Result<bool> feed(std::string_view text, const OnObject& on_object);

private:
    Result<bool> take(char byte, const OnObject& on_object);

    std::size_t limit_;
    std::string object_;
    int depth_ = 0;
    bool in_text_ = false;
    bool after_backslash_ = false;
};

enum class Stream { out, err };

class FrameReader {
public:
    using OnText = std::function<bool(Stream stream, std::string_view text)>;
    // Passes the frames' content on as it comes, a long frame in pieces: nothing is kept. False
    // when `on_text` returned false. `invalid`: a header that is none.
    Result<bool> feed(std::string_view bytes, const OnText& on_text);

private:
    std::string header_;
    Stream stream_ = Stream::out;
    std::uint32_t left_ = 0;    // of the present frame
};

}    // namespace seatrial::docker
