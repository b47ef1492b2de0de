#include "base/text.h"

#include <algorithm>

namespace seatrial {

std::optional<std::uint32_t> Utf8Reader::next() {
    if (at_ >= text_.size() || !valid_) {
        return std::nullopt;
    }
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text_[i]); };
    const unsigned char first = byte(at_);
    if (first < 0x80) {
        ++at_;
        return first;
    }
    int more = 0;
    std::uint32_t point = 0;
    std::uint32_t least = 0;
    if (first >= 0xC2 && first <= 0xDF) {
        more = 1, point = first & 0x1FU, least = 0x80;
    } else if (first >= 0xE0 && first <= 0xEF) {
        more = 2, point = first & 0x0FU, least = 0x800;
    } else if (first >= 0xF0 && first <= 0xF4) {
        more = 3, point = first & 0x07U, least = 0x10000;
    } else {
        valid_ = false;
        return std::nullopt;
    }
    if (text_.size() - at_ <= static_cast<std::size_t>(more)) {
        valid_ = false;
        return std::nullopt;
    }
    for (int i = 1; i <= more; ++i) {
        const unsigned char next = byte(at_ + static_cast<std::size_t>(i));
        if ((next & 0xC0U) != 0x80) {
            valid_ = false;
            return std::nullopt;
        }
        point = (point << 6U) | (next & 0x3FU);
    }
    if (point < least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
        valid_ = false;
        return std::nullopt;
    }
    at_ += static_cast<std::size_t>(more) + 1;
    return point;
}

bool is_valid_utf8(std::string_view text) {
    Utf8Reader reader(text);
    while (reader.next()) {
    }
    return reader.valid();
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    const auto first = text.find_first_not_of(space);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const auto at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(at + 1);
    }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const auto& part : parts) {
        if (&part != parts.data()) {
            out += separator;
        }
        out += part;
    }
    return out;
}

std::optional<std::string> suggest(std::string_view word,
                                   const std::vector<std::string_view>& known) {
    constexpr std::size_t longest = 64;
    if (word.size() > longest) {
        return std::nullopt;
    }
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const auto candidate : known) {
        // Levenshtein distance, two rows.
        std::vector<std::size_t> previous(candidate.size() + 1);
        std::vector<std::size_t> current(candidate.size() + 1);
        for (std::size_t j = 0; j <= candidate.size(); ++j) {
            previous[j] = j;
        }
        for (std::size_t i = 1; i <= word.size(); ++i) {
            current[0] = i;
            for (std::size_t j = 1; j <= candidate.size(); ++j) {
                const std::size_t swap =
                    previous[j - 1] + (word[i - 1] == candidate[j - 1] ? 0 : 1);
                current[j] = std::min({previous[j] + 1, current[j - 1] + 1, swap});
            }
            std::swap(previous, current);
        }
        if (previous[candidate.size()] < best_distance) {
            best_distance = previous[candidate.size()];
            best = std::string(candidate);
        }
    }
    return best;
}

std::string printable(std::string_view text, bool keep_newlines) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        Utf8Reader reader(text);
        while (true) {
            const std::size_t from = reader.offset();
            const auto point = reader.next();
            if (!point) {
                break;
            }
            const bool keep = *point == '\t' || (*point == '\n' && keep_newlines);
            const bool control = *point < 0x20 || (*point >= 0x7F && *point < 0xA0);
            const bool bidi =
                (*point >= 0x202A && *point <= 0x202E) || (*point >= 0x2066 && *point <= 0x2069);
            if ((control && !keep) || bidi) {
                out += '?';
            } else {
                out += text.substr(from, reader.offset() - from);
            }
        }
        text.remove_prefix(reader.offset());
        if (!text.empty()) {
            out += '?';
            text.remove_prefix(1);
        }
    }
    return out;
}

}    // namespace seatrial
