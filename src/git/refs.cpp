#include "git/refs.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/names.h"
#include "base/text.h"

namespace seatrial::git {
namespace {

constexpr std::size_t longest_branch = 250;
constexpr std::size_t longest_remote = 2048;
constexpr std::string_view heads = "refs/heads/";

tl::unexpected<Error> bad_branch(std::string_view name, const std::string& why) {
    return fail(Code::invalid, "branch '" + printable(name) + "' " + why,
                "git check-ref-format describes what a branch may be called");
}

// Host and port as URLs have them; nothing that ssh could take for an option.
bool is_host(std::string_view host) {
    return !host.empty() && host.size() <= 255 && host.front() != '-' &&
           std::all_of(host.begin(), host.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' ||
                      c == '[' || c == ']';
           });
}

bool is_user(std::string_view user) {
    return !user.empty() && user.front() != '-' &&
           std::all_of(user.begin(), user.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
           });
}

Status check_host_part(std::string_view authority, bool user_allowed) {
    std::string_view host = authority;
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        const auto user = authority.substr(0, at);
        host = authority.substr(at + 1);
        if (!user_allowed || user.find(':') != std::string_view::npos) {
            return fail(Code::invalid, "the remote URL carries credentials",
                        "give the URL without user and password; the server has its own access");
        }
        if (!is_user(user)) {
            return fail(Code::invalid, "the remote URL has a strange user name");
        }
    }
    if (!is_host(host)) {
        return fail(Code::invalid, "the remote URL has no valid host");
    }
    return {};
}

// "user@host:path", where no '/' comes before the colon.
Result<std::string> parse_scp_like(std::string_view text) {
    const auto colon = text.find(':');
    const auto slash = text.find('/');
    if (colon == std::string_view::npos || slash < colon || text.substr(colon, 2) == "::" ||
        colon + 1 == text.size()) {
        return fail(Code::invalid,
                    "'" + printable(text.substr(0, 100)) + "' is not a repository we would fetch",
                    "use https://, ssh://, git@host:path, file:// or an absolute path");
    }
    TRY(check_host_part(text.substr(0, colon), true));
    if (text[colon + 1] == '-') {
        return fail(Code::invalid, "the remote URL has a path that looks like an option");
    }
    return std::string(text);
}

}    // namespace

bool is_commit_id(std::string_view text) {
    return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

Result<std::string> parse_branch(std::string_view text) {
    std::string_view name = text;
    if (name.starts_with(heads)) {
        name.remove_prefix(heads.size());
    }
    TRY(check_label("branch", name, longest_branch));
    if (name.starts_with("refs/")) {
        return bad_branch(name, "is a ref that is no branch");
    }
    if (name == "@" || name == "HEAD") {
        return bad_branch(name, "means something else to git");
    }
    if (name.find_first_of(" ~^:?*[\\") != std::string_view::npos) {
        return bad_branch(name, "holds a character that git forbids (space ~ ^ : ? * [ \\)");
    }
    for (const std::string_view word : {"..", "@{", "//"}) {
        if (name.find(word) != std::string_view::npos) {
            return bad_branch(name, "holds '" + std::string(word) + "'");
        }
    }
    if (name.starts_with('/') || name.ends_with('/') || name.ends_with('.')) {
        return bad_branch(name, "starts or ends with '/' or ends with '.'");
    }
    for (const auto part : split(name, '/')) {
        if (part.starts_with('.') || part.ends_with(".lock")) {
            return bad_branch(name, "has a part that starts with '.' or ends with '.lock'");
        }
    }
    return std::string(heads) + std::string(name);
}

Result<std::string> parse_remote(std::string_view text) {
    TRY(check_label("remote URL", text, longest_remote));
    if (text.find_first_of(" \t\"'`$;|&<>\\") != std::string_view::npos) {
        return fail(Code::invalid, "the remote URL holds a character that does not belong there");
    }
    if (text.starts_with('/')) {
        return std::string(text);
    }
    if (text.starts_with("file:///")) {
        return std::string(text);
    }
    struct Scheme {
        std::string_view prefix;
        bool user_allowed;
    };
    constexpr std::array<Scheme, 2> schemes{{{"https://", false}, {"ssh://", true}}};
    for (const auto& scheme : schemes) {
        if (!text.starts_with(scheme.prefix)) {
            continue;
        }
        const auto rest = text.substr(scheme.prefix.size());
        const auto slash = rest.find('/');
        TRY(check_host_part(rest.substr(0, slash), scheme.user_allowed));
        if (slash == std::string_view::npos || slash + 1 == rest.size() || rest[slash + 1] == '-') {
            return fail(Code::invalid, "the remote URL names no repository");
        }
        return std::string(text);
    }
    if (text.find("://") != std::string_view::npos) {
        return fail(Code::invalid,
                    "the remote URL has a scheme that is not fetched: " +
                        printable(text.substr(0, text.find("://"))),
                    "use https://, ssh://, git@host:path, file:// or an absolute path");
    }
    return parse_scp_like(text);
}

}    // namespace seatrial::git
