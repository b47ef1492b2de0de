#include "net/event_parser.h"

namespace seatrial::net {

Result<bool> EventParser::feed(std::string_view text,
                               const std::function<bool(const Event&)>& on_event) {
    while (!text.empty()) {
        if (after_cr_ && text.front() == '\n') {
            text.remove_prefix(1);
        }
        after_cr_ = false;
        const auto end = text.find_first_of("\r\n");
        line_ += text.substr(0, end);
        if (line_.size() + event_.data.size() > limit_) {
            return fail(Code::invalid, "the server sent too large an event");
        }
        if (end == std::string_view::npos) {
            return true;
        }
        after_cr_ = text[end] == '\r';
        text.remove_prefix(end + 1);
        const std::string line = std::exchange(line_, {});
        if (!take_line(line, on_event)) {
            return false;
        }
    }
    return true;
}

bool EventParser::take_line(std::string_view line,
                            const std::function<bool(const Event&)>& on_event) {
    if (std::exchange(first_line_, false) && line.starts_with("\xef\xbb\xbf")) {
        line.remove_prefix(3);
    }
    if (line.empty()) {
        const bool complete = std::exchange(has_data_, false);
        const bool go_on = !complete || on_event(event_);
        event_.name = "message";
        event_.data.clear();
        return go_on;
    }
    const auto colon = line.find(':');
    const auto field = line.substr(0, colon);
    auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
    if (value.starts_with(' ')) {
        value.remove_prefix(1);
    }
    if (field == "data") {
        event_.data += has_data_ ? "\n" : "";
        event_.data += value;
        has_data_ = true;
    } else if (field == "event") {
        event_.name = value.empty() ? "message" : value;
    } else if (field == "id" && value.find('\0') == std::string_view::npos) {
        event_.id = value;
    }
    // A comment (no field name), "retry" (the caller decides when) or an unknown field.
    return true;
}

}    // namespace seatrial::net
