// Hands new events to the streams that listen. A stream first gets what the records hold after
// its last event, then everything as it happens, each once and in order.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "http/event_stream.h"
#include "store/records.h"

namespace seatrial::api {

// Thread: any. Must outlive the records' listener.
class EventHub {
public:
    // `also` hears every event first; it must be short.
    EventHub(store::Records& records, std::function<void(const std::vector<store::Event>&)> also);
    ~EventHub();
    // `life` "" = all. Holds no thread.
    Status subscribe(std::shared_ptr<http::EventStream> stream, const std::string& life,
                     std::int64_t after);
    void close_all();

private:
    struct Subscriber {
        std::shared_ptr<http::EventStream> stream;
        std::string life;
        std::int64_t sent = 0;
        std::mutex mutex;
    };
    void publish(const std::vector<store::Event>& events);
    static void send(Subscriber& subscriber, const store::Event& event);

    store::Records& records_;
    std::mutex mutex_;
    std::map<std::uint64_t, std::shared_ptr<Subscriber>> subscribers_;
    std::uint64_t next_ = 1;
};

}    // namespace seatrial::api
