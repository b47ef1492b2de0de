// Whatever the bytes, reading SQL ends, lines are those of the text, and a word lies inside it.
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "guard/sql.h"
#include "guard/sql_words.h"

namespace guard = seatrial::guard;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    int lines = 1;
    for (const char c : text) {
        lines += c == '\n' ? 1 : 0;
    }
    std::size_t words = 0;
    for (const auto& statement : guard::split_sql(text)) {
        seatrial::check(!statement.empty(), "no empty statement");
        int line = 1;
        for (const auto& word : statement) {
            ++words;
            seatrial::check(word.line >= line && word.line <= lines, "lines go forward");
            line = word.line;
            seatrial::check(word.text.empty() ||
                                (word.text.data() >= text.data() &&
                                 word.text.data() + word.text.size() <= text.data() + text.size()),
                            "a word is part of the text");
        }
    }
    const auto findings = guard::judge_sql(text);
    seatrial::check(findings.size() <= words, "no more findings than words");
    for (const auto& finding : findings) {
        seatrial::check(finding.effect != guard::Effect::expand, "expand is no finding");
        seatrial::check(finding.line >= 1 && finding.line <= lines, "a line of the text");
        seatrial::check(!finding.what.empty() && !finding.why.empty(), "a finding says why");
    }
    return 0;
}
