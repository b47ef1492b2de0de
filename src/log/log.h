// The program's own log: one line per event, a message that never varies and fields that do.
//     log::info("preview started", {{"issue", key}, {"ms", elapsed}});
// Text from outside is made printable; a Secret has no conversion that would fit a field.
// A call below the level costs one load; above it the line is written before the call returns.
// Thread: any.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace seatrial::log {

enum class Level { debug, info, warn, error, off };
enum class Format { logfmt, json };

Result<Level> parse_level(std::string_view text);
Result<Format> parse_format(std::string_view text);

struct Options {
    Level level = Level::info;
    Format format = Format::logfmt;
    // Appended to, mode 0640; empty: stderr.
    std::filesystem::path file;
};

// Before the first call lines go to stderr at `warn`. May be called again (SIGHUP after a
// rotation opens the file anew). On error the former output stays.
Status open(const Options& options);

class Value {
public:
    template <class T>
        requires std::convertible_to<const T&, std::string_view>
    Value(const T& text) : value_(std::string_view(text)) {}    // NOLINT: a field's natural form
    Value(bool value) : value_(value) {}                        // NOLINT
    template <std::integral T>
    Value(T value) : value_(static_cast<std::int64_t>(value)) {}    // NOLINT
    template <std::floating_point T>
    Value(T value) : value_(static_cast<double>(value)) {}    // NOLINT

    const auto& get() const { return value_; }

private:
    std::variant<std::string_view, bool, std::int64_t, double> value_;
};

// Lives for the call only. Keys are literals: lower case, digits, '_'.
struct Field {
    std::string_view key;
    Value value;
};
using Fields = std::initializer_list<Field>;

inline std::atomic<Level> threshold = Level::warn;
inline bool enabled(Level level) {
    return level >= threshold.load(std::memory_order_relaxed);
}
// Writes without asking the level.
void write(Level level, std::string_view message, Fields fields);
// An error's code, message and hint as fields behind `fields`.
void write(Level level, std::string_view message, const Error& error, Fields fields);

inline void debug(std::string_view message, Fields fields = {}) {
    if (enabled(Level::debug)) {
        write(Level::debug, message, fields);
    }
}
inline void info(std::string_view message, Fields fields = {}) {
    if (enabled(Level::info)) {
        write(Level::info, message, fields);
    }
}
inline void warn(std::string_view message, Fields fields = {}) {
    if (enabled(Level::warn)) {
        write(Level::warn, message, fields);
    }
}
inline void error(std::string_view message, Fields fields = {}) {
    if (enabled(Level::error)) {
        write(Level::error, message, fields);
    }
}
inline void warn(std::string_view message, const Error& cause, Fields fields = {}) {
    if (enabled(Level::warn)) {
        write(Level::warn, message, cause, fields);
    }
}
inline void error(std::string_view message, const Error& cause, Fields fields = {}) {
    if (enabled(Level::error)) {
        write(Level::error, message, cause, fields);
    }
}

}    // namespace seatrial::log
