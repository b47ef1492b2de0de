#include "config/secret_text.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace seatrial::config {
namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::toupper(c); });
    return out;
}

}    // namespace

bool name_is_secret(std::string_view name) {
    const std::string text = upper(name);
    for (const std::string_view word :
         {"SECRET", "TOKEN", "PASSWORD", "PASSWD", "PRIVATE", "CREDENTIAL", "API_KEY", "APIKEY",
          "ACCESS_KEY", "SALT", "DSN", "SIGNING", "ENCRYPTION", "JWT", "WEBHOOK"}) {
        if (text.find(word) != std::string::npos) {
            return true;
        }
    }
    return text.ends_with("_KEY") || text.ends_with("_PASS") || text.ends_with("_PWD");
}

bool value_is_secret(std::string_view value) {
    for (const std::string_view prefix : {"sk_", "pk_", "sk-", "ghp_", "gho_", "github_pat_",
                                          "glpat-", "AKIA", "xox", "eyJ", "-----BEGIN", "AIza"}) {
        if (value.starts_with(prefix)) {
            return true;
        }
    }
    const auto scheme = value.find("://");
    if (scheme != std::string_view::npos) {
        const auto authority = value.substr(scheme + 3, value.find('/', scheme + 3) - scheme - 3);
        return authority.find('@') != std::string_view::npos;
    }
    constexpr std::size_t shortest_random = 16;
    const bool digits =
        std::ranges::any_of(value, [](unsigned char c) { return std::isdigit(c) != 0; });
    const bool letters =
        std::ranges::any_of(value, [](unsigned char c) { return std::isalpha(c) != 0; });
    return value.size() >= shortest_random && digits && letters &&
           value.find_first_of(" /") == std::string_view::npos;
}

bool is_private_key(std::string_view text) {
    const auto begin = text.find("-----BEGIN ");
    return begin != std::string_view::npos &&
           text.find("PRIVATE KEY-----", begin) != std::string_view::npos;
}

}    // namespace seatrial::config
