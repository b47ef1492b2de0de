#include "config/nginx_syntax.h"

#include <algorithm>

namespace seatrial::config {
namespace {

constexpr std::size_t text_limit = 1 << 20;
constexpr int depth_limit = 20;
constexpr std::size_t directive_limit = 10'000;

// words ';' or words '{' directives '}'; quotes, backslashes and # comments as nginx has them.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::vector<NginxDirective> parse() { return parse_block(0); }
    const std::string& fault() const { return fault_; }

private:
    std::vector<NginxDirective> parse_block(int depth) {
        std::vector<NginxDirective> out;
        NginxDirective now;
        while (fault_.empty()) {
            skip_space();
            if (at_ == text_.size()) {
                if (depth > 0 || !now.name.empty()) {
                    fail("the file ends inside of a block");
                }
                return out;
            }
            const char c = text_[at_];
            if (c == '}') {
                if (depth == 0 || !now.name.empty()) {
                    fail("a '}' too many");
                }
                ++at_;
                return out;
            }
            if (c != ';' && c != '{') {
                add_word(now);
                continue;
            }
            ++at_;
            if (now.name.empty()) {
                fail("a directive without a name");
            } else if (c == '{' && depth == depth_limit) {
                fail("more than 20 levels");
            } else if (c == '{') {
                now.children = parse_block(depth + 1);
            }
            if (++count_ > directive_limit) {
                fail("more than 10,000 directives");
            }
            out.push_back(std::move(now));
            now = {};
        }
        return out;
    }

    void add_word(NginxDirective& now) {
        std::string word = read_word();
        if (now.name.empty()) {
            now.name = std::move(word);
            now.line = line_;
        } else {
            now.words.push_back(std::move(word));
        }
    }

    void skip_space() {
        while (at_ < text_.size()) {
            if (text_[at_] == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (is_space(text_[at_])) {
                line_ += text_[at_] == '\n' ? 1 : 0;
                ++at_;
            } else {
                return;
            }
        }
    }

    static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

    // Before others a backslash is itself: \.php
    static bool escapes(char next) {
        return std::string_view("\"'\\;{} \t#").find(next) != std::string_view::npos;
    }

    // "${name}" has braces of its own.
    std::string read_word() {
        std::string out;
        const char quote = text_[at_] == '"' || text_[at_] == '\'' ? text_[at_++] : '\0';
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (quote == '\0' ? is_space(c) || c == ';' || c == '{' : c == quote) {
                const bool variable = quote == '\0' && c == '{' && out.ends_with('$');
                const auto end = variable ? text_.find('}', at_) : std::string_view::npos;
                if (end == std::string_view::npos) {
                    break;
                }
                out += text_.substr(at_, end - at_);
                at_ = end;
            } else if (c == '\\' && at_ + 1 < text_.size() && escapes(text_[at_ + 1])) {
                ++at_;
            }
            line_ += text_[at_] == '\n' ? 1 : 0;
            out += text_[at_];
        }
        if (quote != '\0' && at_ == text_.size()) {
            fail("the file ends inside of quotes");
        }
        at_ += quote != '\0' && at_ < text_.size() ? 1 : 0;
        return out;
    }

    void fail(const std::string& what) {
        if (fault_.empty()) {
            fault_ = "line " + std::to_string(line_) + ": " + what;
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int line_ = 1;
    std::size_t count_ = 0;
    std::string fault_;
};

}    // namespace

std::vector<NginxDirective> parse_nginx(std::string_view text, std::string& fault) {
    if (text.size() > text_limit) {
        fault = "more than 1 MB";
        return {};
    }
    Parser parser(text);
    auto out = parser.parse();
    fault = parser.fault();
    return out;
}

}    // namespace seatrial::config
