// The JSON that a life carries beside its spec, and the small functions that every writer of it
// shares.
//
// urls, isolation, timings    of the running generation
// active                      spec of the last generation that came up (text)
// operation                   {kind, state, ...} of an update that goes on or failed
// failure                     {step, title, code, message, hint, at}
// waiting                     {step, message, since, retry_at} while the world is not ready
// restarts                    times of component restarts
// moved                       {from, to, reason, at}: ports changed since the last request
// receipt                     {resources, started_at, finished_at, elapsed_ms}
// reason                      why it ends: "stop", "ttl", "merged", ...
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "plan/resource.h"
#include "store/records.h"

namespace seatrial::preview {

nlohmann::json status_of(const store::Life& life);    // {} when unreadable
void set_status(store::Life& life, const nlohmann::json& status);

nlohmann::json error_json(const Error& error);

store::Event make_event(const store::Life& life, const std::string& actor, const std::string& kind,
                        const nlohmann::json& data);

// Changes the state in `life` and returns the event that says so.
store::Event change_state(store::Life& life, const std::string& to, const std::string& actor,
                          const std::string& reason);

inline constexpr const char* reconciler_actor = "reconciler";

// The world's fault is retried; everything else ends the generation.
bool worlds_fault(const Error& error);
std::vector<plan::Ref> refs_of(const std::vector<store::Owned>& rows);
std::int64_t unix_millis(WallTime time);
WallTime time_of(const nlohmann::json& unix_millis);

}    // namespace seatrial::preview
