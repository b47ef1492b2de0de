// Time, randomness and ids are inputs: code that decides takes them as arguments.
// Deadlines are monotonic (base/context.h); expiry and records use wall time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace seatrial {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

WallTime now_utc();
// RFC 3339 with milliseconds and Z: "2026-11-21T09:30:00.123Z".
std::string render_time(WallTime time);
Result<WallTime> parse_time(std::string_view text);

// "24h", "90m", "30s", "7d", "1h30m"; a bare number is refused.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "450 ms", "2.31 s", "4 m 05 s", "23 h 10 m", "3 d 4 h".
std::string render_duration(std::chrono::milliseconds duration);

}    // namespace seatrial
