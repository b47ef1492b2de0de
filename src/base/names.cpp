#include "base/names.h"

#include <array>
#include <cstdint>

#include "base/text.h"

namespace seatrial {
namespace {

constexpr std::string_view crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t max_name = 48;
constexpr std::size_t digest_length = 12;

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// Characters that reorder or hide text: bidirectional controls, zero-width, line separators.
bool is_deceptive(std::uint32_t point) {
    return (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x2069) || point == 0xFEFF || point == 0x061C;
}

}    // namespace

std::string slug(std::string_view text, std::size_t limit) {
    std::string out;
    for (const char c : text) {
        if (out.size() >= limit) {
            break;
        }
        const char lower = (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
        if (lower != '-' && is_name_char(lower)) {
            out += lower;
        } else if (!out.empty() && out.back() != '-') {
            out += '-';
        }
    }
    while (!out.empty() && out.back() == '-') {
        out.pop_back();
    }
    return out.empty() ? "x" : out;
}

std::string name_mark(std::string_view instance) {
    return std::string(name_prefix) + std::string(instance) + "-";
}

std::string make_name(std::string_view instance, std::string_view text,
                      std::string_view digest_hex) {
    check(digest_hex.size() >= digest_length, "a name needs a digest");
    const std::string mark = name_mark(instance);
    check(mark.size() + digest_length + 2 < max_name, "instance id too long");
    const std::size_t room = max_name - mark.size() - digest_length - 1;
    return mark + slug(text, room) + "-" + std::string(digest_hex.substr(0, digest_length));
}

bool is_our_name(std::string_view instance, std::string_view name) {
    const std::string mark = name_mark(instance);
    if (!name.starts_with(mark) || name.size() <= mark.size() || name.size() > max_name) {
        return false;
    }
    for (const char c : name) {
        if (!is_name_char(c)) {
            return false;
        }
    }
    return true;
}

std::string make_instance_id(std::uint32_t random) {
    constexpr std::string_view letters = "abcdefghjkmnpqrstvwxyz";
    constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
    std::string id(1, letters[random % letters.size()]);
    random /= static_cast<std::uint32_t>(letters.size());
    for (int i = 0; i < 5; ++i) {
        id += digits[random % digits.size()];
        random /= static_cast<std::uint32_t>(digits.size());
    }
    return id;
}

std::string make_ulid(std::int64_t unix_millis, std::uint64_t random_high,
                      std::uint64_t random_low) {
    std::array<char, 26> text{};
    auto time = static_cast<std::uint64_t>(unix_millis);
    for (int i = 9; i >= 0; --i) {
        text[static_cast<std::size_t>(i)] = crockford[time & 31U];
        time >>= 5U;
    }
    for (int i = 17; i >= 10; --i) {
        text[static_cast<std::size_t>(i)] = crockford[random_high & 31U];
        random_high >>= 5U;
    }
    for (int i = 25; i >= 18; --i) {
        text[static_cast<std::size_t>(i)] = crockford[random_low & 31U];
        random_low >>= 5U;
    }
    return {text.data(), text.size()};
}

Status check_label(std::string_view what, std::string_view text, std::size_t limit) {
    const std::string name(what);
    if (text.empty()) {
        return fail(Code::invalid, name + " is empty");
    }
    if (text.size() > limit) {
        return fail(Code::invalid, name + " has " + std::to_string(text.size()) +
                                       " bytes; at most " + std::to_string(limit) + " are allowed");
    }
    if (text.front() == '-') {
        return fail(Code::invalid, name + " starts with '-'", "options are not names");
    }
    Utf8Reader reader(text);
    while (auto point = reader.next()) {
        if (*point < 0x20 || (*point >= 0x7F && *point < 0xA0) || is_deceptive(*point)) {
            return fail(Code::invalid, name + " holds a control or direction-changing character");
        }
    }
    if (!reader.valid()) {
        return fail(Code::invalid, name + " is not valid UTF-8");
    }
    return {};
}

}    // namespace seatrial
