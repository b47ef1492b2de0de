#include "http/event_stream.h"

#include <utility>

namespace seatrial::http {
namespace {

void append_field(std::string& out, std::string_view field, std::string_view value) {
    out += field;
    for (const char byte : value) {
        out += byte == '\n' || byte == '\r' || byte == '\0' ? ' ' : byte;
    }
    out += '\n';
}

}    // namespace

std::string render_event(std::string_view name, std::string_view data, std::string_view id) {
    std::string out;
    out.reserve(data.size() + name.size() + id.size() + 32);
    if (!name.empty()) {
        append_field(out, "event: ", name);
    }
    if (!id.empty()) {
        append_field(out, "id: ", id);
    }
    while (true) {
        const auto end = data.find_first_of("\r\n");
        append_field(out, "data: ", data.substr(0, end));
        if (end == std::string_view::npos) {
            break;
        }
        const bool pair = data.substr(end, 2) == "\r\n";
        data.remove_prefix(end + (pair ? 2 : 1));
    }
    return out + "\n";
}

bool EventStream::send(std::string_view name, std::string_view data, std::string_view id) {
    std::string event = render_event(name, data, id);
    const std::lock_guard lock(mutex_);
    if (closed_) {
        return false;
    }
    if (queued_.size() + event.size() > limit_) {
        queued_ = render_event("resync", "", id);
    } else {
        queued_ += event;
    }
    wake();
    return true;
}

void EventStream::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake();
}

bool EventStream::closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

void EventStream::on_close(std::function<void()> callback) {
    {
        const std::lock_guard lock(mutex_);
        if (!ended_) {
            on_close_ = std::move(callback);
            return;
        }
    }
    callback();
}

void EventStream::wake() {
    if (wake_ && !waking_) {
        waking_ = true;
        wake_();
    }
}

void EventStream::attach(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
}

std::string EventStream::take() {
    const std::lock_guard lock(mutex_);
    waking_ = false;
    return std::exchange(queued_, {});
}

void EventStream::detach() {
    std::function<void()> callback;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        ended_ = true;
        wake_ = nullptr;
        queued_ = {};
        callback = std::exchange(on_close_, nullptr);
    }
    if (callback) {
        callback();
    }
}

}    // namespace seatrial::http
