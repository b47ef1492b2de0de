#include "guard/sql_words.h"

#include <algorithm>

namespace seatrial::guard {
namespace {

char upper_of(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

class Reader {
public:
    explicit Reader(std::string_view sql) : sql_(sql) {}

    std::vector<std::vector<Word>> read() {
        while (at_ < sql_.size()) {
            step();
        }
        end_statement();
        return std::move(out_);
    }

private:
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
    }
    void advance(std::size_t by = 1) {
        const std::size_t to = std::min(at_ + by, sql_.size());
        line_ += static_cast<int>(std::count(sql_.begin() + static_cast<std::ptrdiff_t>(at_),
                                             sql_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
        at_ = to;
    }
    // Behind the next `end`, or the end of the text. The length of what comes before it.
    std::size_t advance_past(std::string_view end) {
        const std::size_t found = sql_.find(end, at_);
        const std::size_t length = std::min(found, sql_.size()) - at_;
        advance(length + (found == std::string_view::npos ? 0 : end.size()));
        return length;
    }
    void add(Word::Kind kind, std::size_t from, std::size_t length, int line) {
        words_.push_back({kind, sql_.substr(from, length), line});
    }

    void step() {
        const char c = peek();
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
            return advance();
        }
        if (c == '-' && peek(1) == '-') {
            advance_past("\n");
            return;
        }
        if (c == '/' && peek(1) == '*') {
            return skip_comment();
        }
        if (c == '\'') {
            return read_quoted('\'', Word::Kind::text, false);
        }
        if (c == '"' || c == '`') {
            return read_quoted(c, Word::Kind::quoted, false);
        }
        if (c == '$' && read_dollar()) {
            return;
        }
        if (c == ';') {
            advance();
            return end_statement();
        }
        if (in_word(c)) {
            return read_word();
        }
        add(Word::Kind::sign, at_, 1, line_);
        advance();
    }
    // PostgreSQL's comments nest.
    void skip_comment() {
        int depth = 0;
        do {
            if (peek() == '/' && peek(1) == '*') {
                ++depth;
                advance(2);
            } else if (peek() == '*' && peek(1) == '/') {
                --depth;
                advance(2);
            } else {
                advance();
            }
        } while (depth > 0 && at_ < sql_.size());
    }
    // From the opening quote; a doubled one stands for itself.
    void read_quoted(char quote, Word::Kind kind, bool escapes) {
        const int line = line_;
        const std::size_t from = at_ + 1;
        advance();
        while (at_ < sql_.size()) {
            const bool escaped = escapes && peek() == '\\';
            if (escaped || (peek() == quote && peek(1) == quote)) {
                advance(2);
            } else if (peek() == quote) {
                break;
            } else {
                advance();
            }
        }
        add(kind, from, at_ - from, line);
        advance();
    }
    // $$...$$ or $name$...$name$; false: `$1` or a lone sign.
    bool read_dollar() {
        std::size_t end = at_ + 1;
        while (end < sql_.size() && in_word(sql_[end])) {
            ++end;
        }
        const bool number = sql_[at_ + 1 < sql_.size() ? at_ + 1 : at_] >= '0' &&
                            sql_[at_ + 1 < sql_.size() ? at_ + 1 : at_] <= '9';
        if (end >= sql_.size() || sql_[end] != '$' || number) {
            return false;
        }
        const std::string_view tag = sql_.substr(at_, end + 1 - at_);
        const int line = line_;
        advance(tag.size());
        const std::size_t from = at_;
        const std::size_t length = advance_past(tag);
        add(Word::Kind::text, from, length, line);
        return true;
    }
    void read_word() {
        const std::size_t from = at_;
        std::size_t end = at_;
        while (end < sql_.size() && (in_word(sql_[end]) || sql_[end] == '$')) {
            ++end;
        }
        const bool escapes = end - from == 1 && upper_of(sql_[from]) == 'E' && end < sql_.size() &&
                             sql_[end] == '\'';
        const int line = line_;
        advance(end - from);
        if (escapes) {
            return read_quoted('\'', Word::Kind::text, true);
        }
        add(Word::Kind::plain, from, end - from, line);
    }
    void end_statement() {
        if (words_.empty()) {
            return;
        }
        const bool data = words_.front().is("COPY") && words_.back().is("STDIN");
        out_.push_back(std::move(words_));
        words_.clear();
        if (data) {
            advance_past("\n\\.");
        }
    }

    std::string_view sql_;
    std::size_t at_ = 0;
    int line_ = 1;
    std::vector<Word> words_;
    std::vector<std::vector<Word>> out_;
};

}    // namespace

bool Word::is(std::string_view upper) const {
    return (kind == Kind::plain || kind == Kind::sign) &&
           std::equal(text.begin(), text.end(), upper.begin(), upper.end(),
                      [](char ours, char theirs) { return upper_of(ours) == theirs; });
}

std::string Word::name() const {
    return std::string(text);
}

std::vector<std::vector<Word>> split_sql(std::string_view sql) {
    return Reader(sql).read();
}

}    // namespace seatrial::guard
