#include "preview/status.h"

#include <nlohmann/json.hpp>

namespace seatrial::preview {

using nlohmann::json;

json status_of(const store::Life& life) {
    json status = json::parse(life.status, nullptr, false);
    return status.is_object() ? status : json::object();
}

void set_status(store::Life& life, const json& status) {
    life.status = status.dump(-1, ' ', false, json::error_handler_t::replace);
}

json error_json(const Error& error) {
    json out = {{"code", to_string(error.code)}, {"message", render_error(error)}};
    if (!error.hint.empty()) {
        out["hint"] = error.hint;
    }
    return out;
}

store::Event make_event(const store::Life& life, const std::string& actor, const std::string& kind,
                        const json& data) {
    store::Event event;
    event.at = now_utc();
    event.life = life.id;
    event.generation = life.generation;
    event.actor = actor;
    event.kind = kind;
    event.data = data.dump(-1, ' ', false, json::error_handler_t::replace);
    return event;
}

store::Event change_state(store::Life& life, const std::string& to, const std::string& actor,
                          const std::string& reason) {
    json data = {{"from", life.state}, {"to", to}};
    if (!reason.empty()) {
        data["reason"] = reason;
    }
    life.state = to;
    life.changed_at = now_utc();
    return make_event(life, actor, "state", data);
}

bool worlds_fault(const Error& error) {
    return error.code == Code::unavailable;
}

std::vector<plan::Ref> refs_of(const std::vector<store::Owned>& rows) {
    std::vector<plan::Ref> refs;
    for (const auto& row : rows) {
        refs.push_back({row.type, row.place, row.name});
    }
    return refs;
}

std::int64_t unix_millis(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime time_of(const json& unix_millis) {
    return WallTime(std::chrono::milliseconds(unix_millis.get<std::int64_t>()));
}

}    // namespace seatrial::preview
