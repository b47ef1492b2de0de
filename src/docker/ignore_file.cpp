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
    std::string set;    // of `one`: the inside of [...]
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

// Of one pattern over a path: which beginnings of it fit the tokens so far. All at once, so that no
// pattern makes it go back.
class Reach {
public:
    // Whether the path, or a folder above it, fits.
    bool fits(const std::vector<Token>& tokens, std::string_view path) {
        now_.assign(path.size() + 1, 0);
        now_[0] = 1;
        for (const auto& token : tokens) {
            if (!step(token, path)) {
                return false;
            }
        }
        for (std::size_t at = 1; at <= path.size(); ++at) {
            if (now_[at] != 0 && (at == path.size() || path[at] == '/')) {
                return true;
            }
        }
        return false;
    }

private:
    // False when nothing fits any more.
    bool step(const Token& token, std::string_view path) {
        next_.assign(path.size() + 1, 0);
        bool any = false;
        bool open = false;    // of `folders`: a beginning that fits is behind us
        for (std::size_t at = 0; at <= path.size(); ++at) {
            const bool here = now_[at] != 0;
            bool good = false;
            switch (token.kind) {
                case Kind::many:
                    good = here || (at > 0 && next_[at - 1] != 0 && path[at - 1] != '/');
                    break;
                case Kind::rest: good = here || (at > 0 && next_[at - 1] != 0); break;
                case Kind::folders:
                    good = here || (open && path[at - 1] == '/');
                    open = open || here;
                    break;
                default: good = at > 0 && now_[at - 1] != 0 && takes(token, path[at - 1]);
            }
            next_[at] = good ? 1 : 0;
            any = any || good;
        }
        std::swap(now_, next_);
        return any;
    }
    std::vector<char> now_, next_;
};

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
    Reach reach;
    bool ignored = false;
    for (const auto& pattern : patterns) {
        if (pattern.back == ignored && reach.fits(pattern.tokens, path)) {
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
