#include "api/event_hub.h"

#include <nlohmann/json.hpp>

#include "preview/view.h"

namespace seatrial::api {
namespace {
constexpr int page = 1000;
}

EventHub::EventHub(store::Records& records,
                   std::function<void(const std::vector<store::Event>&)> also)
    : records_(records) {
    records_.on_events([this, also = std::move(also)](const std::vector<store::Event>& events) {
        also(events);
        publish(events);
    });
}

EventHub::~EventHub() {
    records_.on_events({});
}

void EventHub::send(Subscriber& subscriber, const store::Event& event) {
    const std::lock_guard lock(subscriber.mutex);
    if (event.seq <= subscriber.sent ||
        (!subscriber.life.empty() && subscriber.life != event.life)) {
        return;
    }
    subscriber.sent = event.seq;
    subscriber.stream->send(
        event.kind,
        preview::render_event(event).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
        std::to_string(event.seq));
}

// Commits are told in order of their writing threads, which may cross: a subscriber that is
// behind reads the records instead of trusting the order.
void EventHub::publish(const std::vector<store::Event>& events) {
    std::vector<std::shared_ptr<Subscriber>> all;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, subscriber] : subscribers_) {
            all.push_back(subscriber);
        }
    }
    for (const auto& subscriber : all) {
        std::int64_t sent = 0;
        {
            const std::lock_guard lock(subscriber->mutex);
            sent = subscriber->sent;
        }
        if (events.front().seq == sent + 1) {
            for (const auto& event : events) {
                send(*subscriber, event);
            }
            continue;
        }
        const auto missed = records_.events(sent, subscriber->life, page);
        for (const auto& event : missed.value_or(std::vector<store::Event>{})) {
            send(*subscriber, event);
        }
    }
}

Status EventHub::subscribe(std::shared_ptr<http::EventStream> stream, const std::string& life,
                           std::int64_t after) {
    auto subscriber = std::make_shared<Subscriber>();
    subscriber->stream = std::move(stream);
    subscriber->life = life;
    subscriber->sent = after;
    std::uint64_t id = 0;
    {
        const std::lock_guard lock(mutex_);
        id = next_++;
        subscribers_.emplace(id, subscriber);
    }
    subscriber->stream->on_close([this, id] {
        const std::lock_guard lock(mutex_);
        subscribers_.erase(id);
    });
    while (true) {
        std::int64_t from = 0;
        {
            const std::lock_guard lock(subscriber->mutex);
            from = subscriber->sent;
        }
        TRY_ASSIGN(const auto events, records_.events(from, life, page));
        for (const auto& event : events) {
            send(*subscriber, event);
        }
        if (events.size() < static_cast<std::size_t>(page)) {
            return {};
        }
    }
}

void EventHub::close_all() {
    std::map<std::uint64_t, std::shared_ptr<Subscriber>> all;
    {
        const std::lock_guard lock(mutex_);
        all.swap(subscribers_);
    }
    for (const auto& [id, subscriber] : all) {
        subscriber->stream->close();
    }
}

}    // namespace seatrial::api
