// One client that listens for server-sent events.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace seatrial::http {

// The sender's end. It holds no thread and no connection: kept by shared_ptr for as long as the
// sender likes, also after the client has gone. Thread: all methods, any thread; none blocks.
class EventStream {
public:
    explicit EventStream(std::size_t limit_bytes) : limit_(limit_bytes) {}

    // Queues an event; `name` and `id` may be empty. When the client is too slow and the queue
    // is full, the queue is replaced by one event "resync" (with this id and empty data): the
    // client must read the state anew. False once closed.
    bool send(std::string_view name, std::string_view data, std::string_view id = {});
    // Ends the stream after what is queued.
    void close();
    bool closed() const;
    // Called once when the stream has ended, by whichever side, on a thread that must not be
    // kept waiting; at once if it has ended already.
    void on_close(std::function<void()> callback);

private:
    friend class Connection;
    friend struct EventStreamProbe;    // tests
    // The connection's end: `wake` is called, with the lock held, when there is something to
    // take; never again after detach() returns.
    void attach(std::function<void()> wake);
    std::string take();
    void detach();
    void wake();

    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::string queued_;
    bool waking_ = false;    // wake_ called and nothing taken since
    bool closed_ = false;
    bool ended_ = false;
    std::function<void()> wake_;
    std::function<void()> on_close_;
};

// "event: ...\nid: ...\ndata: ...\n\n"; line breaks in data make several data lines, those in
// name and id become spaces.
std::string render_event(std::string_view name, std::string_view data, std::string_view id);

}    // namespace seatrial::http
