// Small text functions that the standard library lacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial {

// Walks code points; stops at the end or at the first ill-formed byte (overlong forms,
// surrogates and values over U+10FFFF are ill-formed).
class Utf8Reader {
public:
    explicit Utf8Reader(std::string_view text) : text_(text) {}
    std::optional<std::uint32_t> next();
    bool valid() const { return valid_; }
    std::size_t offset() const { return at_; }

private:
    std::string_view text_;
    std::size_t at_ = 0;
    bool valid_ = true;
};

bool is_valid_utf8(std::string_view text);

std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// The closest of `known` to a misspelt `word`, if it is close enough to be worth saying.
std::optional<std::string> suggest(std::string_view word,
                                   const std::vector<std::string_view>& known);

// Text of others (app output, branch names) made safe for a terminal: control characters and
// ill-formed bytes become '?'; tabs stay, newlines only with `keep_newlines`.
std::string printable(std::string_view text, bool keep_newlines = false);

}    // namespace seatrial
