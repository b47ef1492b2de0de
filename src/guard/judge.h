// Inside of guard/: one statement while it is judged.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "guard/sql.h"
#include "guard/sql_words.h"

namespace seatrial::guard {

using Words = std::vector<Word>;

// One statement while it is judged; findings are added through it.
struct Judge {
    const Words& words;
    int line;
    std::set<std::string>& made;    // tables that this file creates: nobody uses them yet
    std::vector<Finding>& found;

    bool is(std::size_t at, std::string_view text) const {
        return at < words.size() && words[at].is(text);
    }
    bool any(std::size_t from, std::string_view text) const {
        return std::any_of(
            words.begin() + static_cast<std::ptrdiff_t>(std::min(from, words.size())), words.end(),
            [&](const Word& word) { return word.is(text); });
    }
    void add(Effect effect, int at, std::string what, std::string why, std::string remedy = "") {
        found.push_back({effect, at, what.empty() ? "a statement" : std::move(what), std::move(why),
                         std::move(remedy)});
    }
    // Past "IF [NOT] EXISTS" and "ONLY".
    std::size_t past_options(std::size_t at) const {
        for (const char* word : {"CONCURRENTLY", "IF", "NOT", "EXISTS", "ONLY"}) {
            at += is(at, word) ? 1 : 0;
        }
        return at;
    }
    // "public.orders" at `at`; moves `at` behind it.
    std::string name(std::size_t& at) const {
        std::string out;
        while (at < words.size() && words[at].kind != Word::Kind::sign) {
            out += words[at].name();
            ++at;
            if (!is(at, ".")) {
                break;
            }
            out += ".";
            ++at;
        }
        return out;
    }
};

inline constexpr const char* old_fails = "the release before, which still runs, fails on it";
inline constexpr const char* data_gone = "the data is gone: no rollback brings it back";
inline constexpr const char* blocks = "writes wait until it is through";
inline constexpr const char* in_two = "remove it in a release after the one that stopped using it";

// ALTER TABLE, action by action.
void judge_alter_table(Judge& judge);

}    // namespace seatrial::guard
