#include "docker/ignore_file.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"

namespace seatrial::docker {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// "**/" and a "**" at the end: any number of folders; in another place "**" is any text that ends
// with a slash, or none, as with docker.
enum class Kind { character, any, one, many, folders, rest };

struct Token {
    Kind kind = Kind::character;
    std::string set;    // of `one`: "" is every character but the slash, else the inside of [...]
    char character = 0;
};

// Where a "[...]" that begins at `at` ends; npos when it does not.
std::size_t end_of_set(std::string_view glob, std::size_t at) {
    std::size_t end = at + 1;
    end += end < glob.size() && glob[end] == '^' ? 1 : 0;
    for (bool first = true; end < glob.size(); ++end, first = false) {
        if (glob[end] == '\\') {
            ++end;
        } else if (glob[end] == ']' && !first) {
            return end;
        }
    }
    return std::string_view::npos;
}

Result<std::vector<Token>> tokens_of(std::string_view glob) {
    std::vector<Token> out;
    for (std::size_t i = 0; i < glob.size(); ++i) {
        const char c = glob[i];
        if (c == '*' && i + 1 < glob.size() && glob[i + 1] == '*') {
            i += i + 2 < glob.size() && glob[i + 2] == '/' ? 2 : 1;
            out.push_back({i + 1 == glob.size() ? Kind::rest : Kind::folders, "", 0});
        } else if (c == '*') {
            out.push_back({Kind::many, "", 0});
        } else if (c == '?') {
            out.push_back({Kind::any, "", 0});
        } else if (c == '[') {
            const auto end = end_of_set(glob, i);
            if (end == std::string_view::npos) {
                return fail(Code::invalid, "'[' has no ']'", "put a backslash before it");
            }
            out.push_back({Kind::one, std::string(glob.substr(i + 1, end - i - 1)), 0});
            i = end;
        } else if (c == '\\' && i + 1 == glob.size()) {
            return fail(Code::invalid, "nothing behind '\\'", "write it twice");
        } else {
            i += c == '\\' ? 1 : 0;
            out.push_back({Kind::character, "", glob[i]});
        }
    }
    return out;
}

bool in_set(std::string_view set, char c) {
    const bool turned = set.starts_with('^');
    set.remove_prefix(turned ? 1 : 0);
    bool in = false;
    for (std::size_t i = 0; i < set.size(); ++i) {
        i += set[i] == '\\' && i + 1 < set.size() ? 1 : 0;
        const char low = set[i];
        char high = low;
        if (i + 2 < set.size() && set[i + 1] == '-') {
            i += 2;
            i += set[i] == '\\' && i + 1 < set.size() ? 1 : 0;
            high = set[i];
        }
        in = in || (low <= c && c <= high);
    }
    return in != turned;
}

bool takes(const Token& token, char c) {
    switch (token.kind) {
        case Kind::character: return token.character == c;
        case Kind::any: return c != '/';
        case Kind::one: return c != '/' && in_set(token.set, c);
        default: return false;
    }
}

// Which ends of `path` the tokens reach, all beginnings at once: no pattern makes it go back.
bool fits(const std::vector<Token>& tokens, std::string_view path) {
    std::vector<char> reached(path.size() + 1, 0);
    reached[0] = 1;
    for (const auto& token : tokens) {
        std::vector<char> next(path.size() + 1, 0);
        bool open = false;    // of `folders`: some reached place is behind us
        for (std::size_t at = 0; at <= path.size(); ++at) {
            const bool here = reached[at] != 0;
            switch (token.kind) {
                case Kind::many:
                    next[at] = here || (at > 0 && next[at - 1] && path[at - 1] != '/');
                    break;
                case Kind::rest: next[at] = here || (at > 0 && next[at - 1]); break;
                case Kind::folders:
                    next[at] = here || (open && path[at - 1] == '/');
                    open = open || here;
                    break;
                default: next[at] = at > 0 && reached[at - 1] && takes(token, path[at - 1]);
            }
        }
        reached = std::move(next);
    }
    return reached.back() != 0;
}

// Without "./", "//" and "x/..", and without the slash at its beginning or end.
std::string clean(std::string_view text) {
    std::string out = std::filesystem::path(text).lexically_normal().string();
    while (out.size() > 1 && out.ends_with('/')) {
        out.pop_back();
    }
    if (out.size() > 1 && out.starts_with('/')) {
        out.erase(0, 1);
    }
    return out;
}

struct Pattern {
    std::vector<Token> tokens;
    bool back = false;    // "!"
};

bool ignores(const std::vector<Pattern>& patterns, std::string_view path) {
    bool ignored = false;
    for (const auto& pattern : patterns) {
        bool fit = false;
        // The file, and each folder above it.
        for (auto end = path.size(); !fit && end != std::string_view::npos && end > 0;
             end = path.rfind('/', end - 1)) {
            fit = fits(pattern.tokens, path.substr(0, end));
        }
        if (fit) {
            ignored = !pattern.back;
        }
    }
    return ignored;
}

}    // namespace

Result<Ignores> parse_ignore_file(std::string_view text) {
    if (text.starts_with(byte_order_mark)) {
        text.remove_prefix(byte_order_mark.size());
    }
    std::vector<Pattern> patterns;
    int number = 0;
    for (auto line : split(text, '\n')) {
        ++number;
        if (line.starts_with('#')) {
            continue;
        }
        line = trim(line);
        const bool back = line.starts_with('!');
        const auto glob = trim(line.substr(back ? 1 : 0));
        if (glob.empty() && !back) {
            continue;
        }
        auto tokens = tokens_of(clean(glob));
        if (glob.empty()) {
            tokens = fail(Code::invalid, "'!' without a pattern",
                          "remove the line, or name what to take back");
        }
        if (!tokens) {
            Error error = tokens.error();
            error.message = "line " + std::to_string(number) + ": " + error.message;
            return tl::unexpected(std::move(error));
        }
        patterns.push_back({*std::move(tokens), back});
    }
    return
        [patterns = std::move(patterns)](std::string_view path) { return ignores(patterns, path); };
}

}    // namespace seatrial::docker
