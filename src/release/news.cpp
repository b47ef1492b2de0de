#include "release/news.h"

#include <nlohmann/json.hpp>

namespace seatrial::release {

store::Event make_event(const store::Life& life, const std::string& kind,
                        const nlohmann::json& data) {
    store::Event event;
    event.at = now_utc();
    event.life = life.id;
    event.generation = life.generation;
    event.actor = "reconciler";
    event.kind = kind;
    event.data = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return event;
}

}    // namespace seatrial::release
