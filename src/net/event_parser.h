// The wire format of server-sent events, as it comes in pieces.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace seatrial::net {

struct Event {
    std::string name = "message";
    std::string data;    // its lines joined by '\n'
    std::string id;      // the last one seen in the stream
};

class EventParser {
public:
    explicit EventParser(std::size_t limit_bytes = 4 << 20) : limit_(limit_bytes) {}
    // Calls `on_event` for every event that `text` completes; false when it returned false.
    // `invalid` when one event is larger than the limit.
    Result<bool> feed(std::string_view text, const std::function<bool(const Event&)>& on_event);

private:
    bool take_line(std::string_view line, const std::function<bool(const Event&)>& on_event);

    std::size_t limit_;
    std::string line_;
    Event event_;
    bool has_data_ = false;
    bool after_cr_ = false;
    bool first_line_ = true;
};

}    // namespace seatrial::net
