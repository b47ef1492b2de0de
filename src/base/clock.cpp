#include "base/clock.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace seatrial {

WallTime now_utc() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::string render_time(WallTime time) {
    const std::time_t seconds =
        std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    const auto millis = (time - std::chrono::floor<std::chrono::seconds>(time)).count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                  parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                  parts.tm_min, parts.tm_sec, static_cast<int>(millis));
    return text.data();
}

Result<WallTime> parse_time(std::string_view text) {
    std::tm parts{};
    int millis = 0;
    int used = 0;
    const std::string copy(text);
    if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &parts.tm_year, &parts.tm_mon,
                    &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &millis,
                    &used) != 7 ||
        used != static_cast<int>(copy.size())) {
        return fail(Code::invalid, "not a time like 2026-11-21T09:30:00.000Z");
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    return WallTime(std::chrono::seconds(::timegm(&parts))) + std::chrono::milliseconds(millis);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    constexpr std::string_view hint = "write it as 24h, 90m, 30s, 500ms, 7d or 1h30m";
    std::chrono::milliseconds total{0};
    const char* at = text.data();
    const char* const end = at + text.size();
    if (at == end) {
        return fail(Code::invalid, "the duration is empty", std::string(hint));
    }
    while (at != end) {
        long long count = 0;
        const auto [rest, error] = std::from_chars(at, end, count);
        if (error != std::errc{} || count < 0 || count > 1'000'000) {
            return fail(Code::invalid, "'" + std::string(text) + "' is not a duration",
                        std::string(hint));
        }
        at = rest;
        std::string unit;
        while (at != end && std::isalpha(static_cast<unsigned char>(*at)) != 0) {
            unit += *at++;
        }
        if (unit == "ms") {
            total += std::chrono::milliseconds(count);
        } else if (unit == "s") {
            total += std::chrono::seconds(count);
        } else if (unit == "m") {
            total += std::chrono::minutes(count);
        } else if (unit == "h") {
            total += std::chrono::hours(count);
        } else if (unit == "d") {
            total += std::chrono::hours(24 * count);
        } else {
            return fail(Code::invalid, "'" + std::string(text) + "' is not a duration",
                        std::string(hint));
        }
    }
    return total;
}

std::string render_duration(std::chrono::milliseconds duration) {
    const long long millis = duration.count();
    std::array<char, 48> text{};
    if (millis < 1000) {
        std::snprintf(text.data(), text.size(), "%lld ms", millis);
    } else if (millis < 60'000) {
        std::snprintf(text.data(), text.size(), "%.2f s", static_cast<double>(millis) / 1000.0);
    } else if (millis < 3'600'000) {
        std::snprintf(text.data(), text.size(), "%lld m %02lld s", millis / 60'000,
                      millis / 1000 % 60);
    } else if (millis < 86'400'000) {
        std::snprintf(text.data(), text.size(), "%lld h %02lld m", millis / 3'600'000,
                      millis / 60'000 % 60);
    } else {
        std::snprintf(text.data(), text.size(), "%lld d %lld h", millis / 86'400'000,
                      millis / 3'600'000 % 24);
    }
    return text.data();
}

}    // namespace seatrial
