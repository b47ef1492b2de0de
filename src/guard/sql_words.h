// SQL text as words, statement by statement: comments are gone, quotes are whole.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace seatrial::guard {

struct Word {
    enum class Kind { plain, quoted, text, sign } kind = Kind::plain;
    std::string_view text;    // of the input; a quoted name and a string without their quotes
    int line = 1;

    // A keyword or a sign; never a quoted name or a string.
    bool is(std::string_view upper) const;
    // For people and for comparing: plain words in lower case unless all of them are upper.
    std::string name() const;
};

// Never an empty statement. An unterminated quote or comment reaches to the end of the text. Data
// of COPY ... FROM STDIN is skipped.
std::vector<std::vector<Word>> split_sql(std::string_view sql);

}    // namespace seatrial::guard
