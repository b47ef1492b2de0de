#include "config/values.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include "base/text.h"

namespace seatrial::config {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t factor;
};
// Longest first where one begins with another.
constexpr Unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 24 * 3'600'000}};
constexpr Unit size_units[] = {
    {"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1LL << 40}};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

// Takes the digits at the front of `text`.
std::optional<std::int64_t> take_number(std::string_view& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || text.front() == '-') {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

std::optional<std::int64_t> times(std::int64_t value, std::int64_t factor) {
    if (value > std::numeric_limits<std::int64_t>::max() / factor) {
        return std::nullopt;
    }
    return value * factor;
}

}    // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
    if (text == "true" || text == "True" || text == "TRUE") {
        return true;
    }
    if (text == "false" || text == "False" || text == "FALSE") {
        return false;
    }
    return std::nullopt;
}

std::optional<bool> parse_switch(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const std::string_view yes : {"true", "1", "yes", "on"}) {
        if (lower == yes) {
            return true;
        }
    }
    for (const std::string_view no : {"false", "0", "no", "off"}) {
        if (lower == no) {
            return false;
        }
    }
    return std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    if (text.empty()) {
        return std::nullopt;
    }
    std::int64_t total = 0;
    std::int64_t last_factor = std::numeric_limits<std::int64_t>::max();
    while (!text.empty()) {
        const auto number = take_number(text);
        const auto* const unit = std::ranges::find_if(
            duration_units, [&](const Unit& known) { return text.starts_with(known.name); });
        if (!number || unit == std::end(duration_units) || unit->factor >= last_factor) {
            return std::nullopt;
        }
        const auto part = times(*number, unit->factor);
        if (!part || total > std::numeric_limits<std::int64_t>::max() - *part) {
            return std::nullopt;
        }
        total += *part;
        last_factor = unit->factor;
        text.remove_prefix(unit->name.size());
    }
    return std::chrono::milliseconds(total);
}

std::string render_duration(std::chrono::milliseconds duration) {
    std::int64_t rest = duration.count();
    std::string out;
    for (auto unit = std::rbegin(duration_units); unit != std::rend(duration_units); ++unit) {
        if (rest >= unit->factor) {
            out += std::to_string(rest / unit->factor) + std::string(unit->name);
            rest %= unit->factor;
        }
    }
    return out.empty() ? "0s" : out;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
    if (text.empty()) {
        return std::nullopt;
    }
    const auto number = take_number(text);
    if (!number) {
        return std::nullopt;
    }
    if (text.ends_with("iB")) {
        text.remove_suffix(2);
    } else if (text.ends_with('B')) {
        text.remove_suffix(1);
    }
    for (const auto& unit : size_units) {
        if (text == unit.name) {
            return times(*number, unit.factor);
        }
    }
    return std::nullopt;
}

std::optional<int> parse_percent(std::string_view text) {
    if (text.ends_with('%')) {
        text.remove_suffix(1);
    }
    const auto value = parse_integer(text);
    if (!value || *value < 0 || *value > std::numeric_limits<int>::max()) {
        return std::nullopt;
    }
    return static_cast<int>(*value);
}

bool is_variable_name(std::string_view text) {
    constexpr std::size_t limit = 128;
    return !text.empty() && text.size() <= limit && !is_digit(text.front()) &&
           std::ranges::all_of(
               text, [](char c) { return is_digit(c) || is_lower(c) || is_upper(c) || c == '_'; });
}

bool is_short_name(std::string_view text, std::size_t limit) {
    return !text.empty() && text.size() <= limit && is_lower(text.front()) && text.back() != '-' &&
           std::ranges::all_of(text, [](char c) { return is_digit(c) || is_lower(c) || c == '-'; });
}

bool is_host(std::string_view text) {
    constexpr std::size_t limit = 253;
    const bool bracketed = text.starts_with('[') && text.ends_with(']');
    if (bracketed) {
        text = text.substr(1, text.size() - 2);
    }
    const std::string_view extra = bracketed ? ":" : ".-";
    return !text.empty() && text.size() <= limit && text.front() != '-' &&
           std::ranges::all_of(text, [&](char c) {
               return is_digit(c) || is_lower(c) || is_upper(c) ||
                      extra.find(c) != std::string_view::npos;
           });
}

std::string_view clean_path(std::string_view text) {
    while (text.starts_with("./")) {
        text.remove_prefix(2);
    }
    while (text.size() > 1 && text.ends_with('/')) {
        text.remove_suffix(1);
    }
    return text;
}

bool is_path_below(std::string_view text) {
    constexpr std::size_t limit = 1024;
    text = clean_path(text);
    if (text.empty() || text.size() > limit || text.find('\0') != std::string_view::npos ||
        text.find_first_of("\n\r") != std::string_view::npos) {
        return false;
    }
    return std::ranges::none_of(split(text, '/'), [](std::string_view segment) {
        return segment.empty() || segment == "." || segment == "..";
    });
}

std::string variable_prefix(std::string_view component) {
    std::string out(component);
    std::ranges::transform(out, out.begin(), [](unsigned char c) {
        return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    return out;
}

bool is_engine_name(std::string_view text) {
    constexpr std::size_t longest = 128;
    return !text.empty() && text.size() <= longest &&
           std::isalnum(static_cast<unsigned char>(text.front())) != 0 &&
           std::ranges::all_of(text, [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
           });
}

bool is_registry(std::string_view text) {
    const auto colon = text.find(':');
    const std::string_view host = text.substr(0, colon);
    const bool good_host = !host.empty() && host.size() <= 253 && host.front() != '-' &&
                           host.front() != '.' && std::ranges::all_of(host, [](char c) {
                               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                      (c >= '0' && c <= '9') || c == '.' || c == '-';
                           });
    if (colon == std::string_view::npos) {
        return good_host;
    }
    const std::string_view port = text.substr(colon + 1);
    return good_host && !port.empty() && port.size() <= 5 &&
           std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

}    // namespace seatrial::config
