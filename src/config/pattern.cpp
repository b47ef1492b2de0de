#include "config/pattern.h"

#include <re2/re2.h>

namespace seatrial::config {
namespace {

RE2::Options options() {
    RE2::Options out;
    out.set_log_errors(false);
    constexpr int memory = 1 << 20;
    out.set_max_mem(memory);
    return out;
}

}    // namespace

std::optional<std::string> pattern_fault(const std::string& pattern) {
    const RE2 regex(pattern, options());
    if (regex.ok()) {
        return std::nullopt;
    }
    return regex.error();
}

bool matches_fully(const std::string& pattern, std::string_view text) {
    const RE2 regex(pattern, options());
    return regex.ok() && RE2::FullMatch(re2::StringPiece(text.data(), text.size()), regex);
}

std::optional<std::string> find_match(const std::string& pattern, std::string_view text) {
    const RE2 regex(pattern, options());
    const re2::StringPiece input(text.data(), text.size());
    re2::StringPiece groups[2];
    const int count = regex.ok() && regex.NumberOfCapturingGroups() > 0 ? 2 : 1;
    if (!regex.ok() || !regex.Match(input, 0, input.size(), RE2::UNANCHORED, groups, count)) {
        return std::nullopt;
    }
    const auto& found = count == 2 && groups[1].data() != nullptr ? groups[1] : groups[0];
    if (found.empty()) {
        return std::nullopt;
    }
    return std::string(found.data(), found.size());
}

}    // namespace seatrial::config
