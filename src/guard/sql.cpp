#include "guard/sql.h"

#include <algorithm>
#include <array>
#include <set>

#include "guard/judge.h"

namespace seatrial::guard {
namespace {

void judge_alter(Judge& judge) {
    if (judge.is(1, "TABLE")) {
        return judge_alter_table(judge);
    }
    const std::string what = "ALTER " + (judge.words.size() > 1 ? judge.words[1].name() : "");
    if (judge.is(1, "TYPE") && judge.any(2, "ADD") && judge.any(2, "VALUE")) {
        return;
    }
    if (judge.is(1, "TYPE") || judge.any(2, "RENAME")) {
        judge.add(Effect::contract, judge.line, what, old_fails);
        return;
    }
    judge.add(Effect::unclear, judge.line, what,
              "what it does to the release before cannot be told");
}

void judge_create(Judge& judge) {
    std::size_t at = 1;
    const bool replace = judge.is(1, "OR") && judge.is(2, "REPLACE");
    at += replace ? 2 : 0;
    for (const char* word : {"GLOBAL", "LOCAL", "TEMPORARY", "TEMP", "UNLOGGED"}) {
        at += judge.is(at, word) ? 1 : 0;
    }
    if (judge.is(at, "TABLE")) {
        at = judge.past_options(at + 1);
        judge.made.insert(judge.name(at));
        return;
    }
    const bool unique = judge.is(at, "UNIQUE");
    if (judge.is(at + (unique ? 1 : 0), "INDEX")) {
        std::size_t on = at;
        while (on < judge.words.size() && !judge.is(on, "ON")) {
            ++on;
        }
        on = judge.past_options(on + 1);
        const std::string table = judge.name(on);
        if (!judge.any(at, "CONCURRENTLY") && !judge.made.contains(table)) {
            judge.add(Effect::slow, judge.line, "CREATE INDEX on " + table, blocks,
                      "CREATE INDEX CONCURRENTLY");
        }
        return;
    }
    if (replace || judge.is(at, "TRIGGER") || judge.is(at, "RULE") || judge.is(at, "POLICY")) {
        judge.add(Effect::unclear, judge.line,
                  "CREATE " + (at < judge.words.size() ? judge.words[at].name() : ""),
                  "it changes what the release before sees");
    }
}

void judge_drop(Judge& judge) {
    std::size_t at = 2;
    at += judge.is(1, "MATERIALIZED") ? 1 : 0;
    const std::string kind = judge.words.size() > 1 ? judge.words[1].name() : "";
    const bool concurrently = judge.is(at, "CONCURRENTLY");
    at = judge.past_options(at);
    const std::string what = "DROP " + kind + " " + judge.name(at);
    if (kind == "INDEX") {
        if (!concurrently) {
            judge.add(Effect::slow, judge.line, what, "users wait for its lock",
                      "DROP INDEX CONCURRENTLY");
        }
        return;
    }
    const bool data = kind == "TABLE" || kind == "SCHEMA" || kind == "DATABASE";
    judge.add(Effect::contract, judge.line, what, data ? data_gone : old_fails, in_two);
}

// A DELETE or UPDATE that waits for its WHERE.
struct Rows {
    std::size_t at;    // of the word
    int depth;
    bool limited = false;
};

void judge_one(Judge& judge, const Rows& rows) {
    const bool removes = judge.is(rows.at, "DELETE");
    std::size_t at = judge.past_options(rows.at + (removes ? 2 : 1));
    const std::string table = judge.name(at);
    const int line = judge.words[rows.at].line;
    if (judge.made.contains(table)) {
        return;
    }
    if (removes && rows.limited) {
        judge.add(Effect::unclear, line, "DELETE FROM " + table + " WHERE",
                  "which rows go cannot be told");
    } else if (removes) {
        judge.add(Effect::contract, line, "DELETE FROM " + table, data_gone,
                  "say with WHERE which rows");
    } else if (!rows.limited) {
        judge.add(Effect::slow, line, "UPDATE " + table, "all rows stay locked until it is through",
                  "fill in batches, in a job of its own");
    }
}

// Not FOR UPDATE, ON UPDATE, DO UPDATE.
bool is_update(const Judge& judge, std::size_t at) {
    return at == 0 || judge.is(at - 1, "(") || judge.is(at - 1, ")");
}

// Anywhere in the statement: a common table expression may delete, too.
void judge_rows(Judge& judge) {
    std::vector<Rows> open;
    int depth = 0;
    const auto close = [&](int below) {
        while (!open.empty() && open.back().depth > below) {
            judge_one(judge, open.back());
            open.pop_back();
        }
    };
    for (std::size_t i = 0; i < judge.words.size(); ++i) {
        if (judge.is(i, "(")) {
            ++depth;
        } else if (judge.is(i, ")")) {
            close(--depth);
        } else if (judge.is(i, "WHERE")) {
            if (!open.empty() && open.back().depth == depth) {
                open.back().limited = true;
            }
        } else if ((judge.is(i, "DELETE") && judge.is(i + 1, "FROM")) ||
                   (judge.is(i, "UPDATE") && is_update(judge, i))) {
            close(depth - 1);    // one behind the other at the same depth
            open.push_back({i, depth});
        }
    }
    close(-1'000'000'000);
}

bool is_one_of(const Word& word, std::initializer_list<std::string_view> texts) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](std::string_view text) { return word.is(text); });
}

void judge_statement(Judge& judge) {
    const Word& first = judge.words.front();
    if (first.is("CREATE")) {
        return judge_create(judge);
    }
    if (first.is("ALTER")) {
        return judge_alter(judge);
    }
    if (first.is("DROP")) {
        return judge_drop(judge);
    }
    if (is_one_of(first, {"DELETE", "UPDATE", "WITH", "INSERT", "SELECT", "MERGE"})) {
        judge_rows(judge);
        if (first.is("MERGE")) {
            judge.add(Effect::unclear, judge.line, "MERGE", "which rows go cannot be told");
        }
        return;
    }
    if (first.is("TRUNCATE")) {
        std::size_t at = judge.past_options(judge.is(1, "TABLE") ? 2 : 1);
        judge.add(Effect::contract, judge.line, "TRUNCATE " + judge.name(at), data_gone);
        return;
    }
    if (first.is("REVOKE")) {
        judge.add(Effect::contract, judge.line, "REVOKE", old_fails, in_two);
        return;
    }
    if (is_one_of(first, {"LOCK", "CLUSTER", "REINDEX", "REFRESH", "VACUUM"})) {
        if (!judge.any(1, "CONCURRENTLY")) {
            judge.add(Effect::slow, judge.line, first.name(), "users wait for its lock",
                      first.is("REINDEX") || first.is("REFRESH") ? "add CONCURRENTLY" : "");
        }
        return;
    }
    if (is_one_of(first, {"SET", "RESET", "BEGIN", "START", "COMMIT", "END", "ROLLBACK",
                          "SAVEPOINT", "RELEASE", "COMMENT", "GRANT", "ANALYZE", "SHOW", "COPY",
                          "VALUES", "TABLE", "NOTIFY", "DISCARD", "CHECKPOINT"})) {
        return;
    }
    judge.add(Effect::unclear, judge.line, first.name(),
              "what it does cannot be told from the text");
}

}    // namespace

std::string_view to_string(Effect effect) {
    static constexpr std::array<std::string_view, 4> names{"expand", "slow", "unclear", "contract"};
    return names.at(static_cast<std::size_t>(effect));
}

std::vector<Finding> judge_sql(std::string_view sql) {
    std::vector<Finding> out;
    std::set<std::string> made;
    for (const auto& words : split_sql(sql)) {
        Judge judge{words, words.front().line, made, out};
        judge_statement(judge);
    }
    return out;
}

Effect worst(const std::vector<Finding>& findings) {
    Effect out = Effect::expand;
    for (const auto& finding : findings) {
        out = std::max(out, finding.effect);
    }
    return out;
}

}    // namespace seatrial::guard
