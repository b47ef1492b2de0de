#include "cli/issue_key.h"

#include "config/pattern.h"

namespace seatrial::cli {
namespace {

bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// "ABC-123": two or more capitals or digits after a capital, a dash, a number.
std::string jira_key(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_upper(text[i]) || (i > 0 && (is_upper(text[i - 1]) || is_digit(text[i - 1])))) {
            continue;
        }
        std::size_t end = i + 1;
        while (end < text.size() && (is_upper(text[end]) || is_digit(text[end]))) {
            ++end;
        }
        if (end - i < 2 || end >= text.size() || text[end] != '-') {
            continue;
        }
        std::size_t digits = end + 1;
        while (digits < text.size() && is_digit(text[digits])) {
            ++digits;
        }
        if (digits > end + 1) {
            return std::string(text.substr(i, digits - i));
        }
    }
    return "";
}

}    // namespace

std::string issue_key(std::string_view branch, const std::string& pattern) {
    constexpr std::string_view heads = "refs/heads/";
    const std::string_view name = branch.starts_with(heads) ? branch.substr(heads.size()) : branch;
    const std::string key =
        pattern.empty() ? jira_key(name) : config::find_match(pattern, name).value_or("");
    return key.empty() ? std::string(name) : key;
}

}    // namespace seatrial::cli
