#include "guard/sql.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "guard/sql_words.h"

namespace seatrial::guard {
namespace {

using Words = std::vector<Word>;

// One statement while it is judged; rows are added through it.
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

constexpr const char* old_fails = "the release before, which still runs, fails on it";
constexpr const char* data_gone = "the data is gone: no rollback brings it back";
constexpr const char* blocks = "writes wait until it is through";
constexpr const char* in_two = "remove it in a release after the one that stopped using it";

// One action of ALTER TABLE: words [from, to).
struct Alter {
    const Judge& judge;
    std::size_t from, to;
    bool has(std::string_view text) const {
        for (std::size_t i = from; i < to; ++i) {
            if (judge.words[i].is(text)) {
                return true;
            }
        }
        return false;
    }
    bool has(std::string_view first, std::string_view second) const {
        for (std::size_t i = from; i + 1 < to; ++i) {
            if (judge.words[i].is(first) && judge.words[i + 1].is(second)) {
                return true;
            }
        }
        return false;
    }
};

void judge_constraint(Judge& judge, const Alter& action, const std::string& table, int line) {
    const std::string what = "ADD CONSTRAINT on " + table;
    if (action.has("USING", "INDEX") || action.has("NOT", "VALID")) {
        judge.add(Effect::unclear, line, what, "writes of the release before must meet it, too");
        return;
    }
    const bool key = action.has("UNIQUE") || action.has("PRIMARY");
    judge.add(Effect::slow, line, what, blocks,
              key ? "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX"
                  : "ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT");
}

void judge_new_column(Judge& judge, const Alter& action, const std::string& table, int line) {
    std::size_t at = action.from + 1;
    at += judge.is(at, "COLUMN") ? 1 : 0;
    at = judge.past_options(at);
    const std::string what = "ADD COLUMN " + table + "." + judge.name(at);
    const bool filled = action.has("DEFAULT") || action.has("GENERATED") || action.has("SERIAL") ||
                        action.has("BIGSERIAL") || action.has("SMALLSERIAL");
    if ((action.has("NOT", "NULL") || action.has("PRIMARY")) && !filled) {
        judge.add(Effect::contract, line, what + " NOT NULL without DEFAULT",
                  "inserts of the release before fail", "give it a DEFAULT, or allow NULL");
        return;
    }
    bool computed = filled && !action.has("DEFAULT");
    for (std::size_t i = action.from; i + 2 < action.to; ++i) {
        computed = computed || (judge.words[i].is("DEFAULT") && judge.is(i + 2, "(") &&
                                !judge.is(i + 1, "NOW"));
    }
    if (computed || action.has("UNIQUE") || action.has("PRIMARY")) {
        judge.add(Effect::slow, line, what, "the whole table is read or written under a lock",
                  "add the column empty, fill it in batches, add the rest later");
    }
}

void judge_column_change(Judge& judge, const Alter& action, const std::string& table, int line) {
    std::size_t at = action.from + 1;
    at += judge.is(at, "COLUMN") ? 1 : 0;
    const std::string what = "ALTER COLUMN " + table + "." + judge.name(at);
    if (judge.is(at, "TYPE") || (judge.is(at, "SET") && judge.is(at + 1, "DATA"))) {
        judge.add(Effect::contract, line, what + " TYPE",
                  "the table is written anew under a lock, and the release before may not "
                  "understand the values",
                  "add a column of the new type, fill it, and switch to it");
    } else if (judge.is(at, "SET") && judge.is(at + 1, "NOT")) {
        judge.add(Effect::contract, line, what + " SET NOT NULL",
                  "writes of the release before that leave it out fail",
                  "first a release that always fills it");
    } else if (judge.is(at, "DROP") && judge.is(at + 1, "DEFAULT")) {
        judge.add(Effect::unclear, line, what + " DROP DEFAULT",
                  "inserts of the release before may rely on it");
    }
}

void judge_action(Judge& judge, std::size_t from, std::size_t to, const std::string& table) {
    if (from >= to) {
        return;
    }
    const Alter action{judge, from, to};
    const int line = judge.words[from].line;
    const auto second = [&](std::initializer_list<std::string_view> texts) {
        return std::any_of(texts.begin(), texts.end(),
                           [&](std::string_view text) { return judge.is(from + 1, text); });
    };
    if (judge.is(from, "ADD")) {
        if (second({"CONSTRAINT", "PRIMARY", "FOREIGN", "UNIQUE", "CHECK", "EXCLUDE"})) {
            return judge_constraint(judge, action, table, line);
        }
        return judge_new_column(judge, action, table, line);
    }
    if (judge.is(from, "DROP")) {
        if (second({"CONSTRAINT"})) {
            return;
        }
        std::size_t at = from + 1;
        at += judge.is(at, "COLUMN") ? 1 : 0;
        at = judge.past_options(at);
        judge.add(Effect::contract, line, "DROP COLUMN " + table + "." + judge.name(at), data_gone,
                  in_two);
        return;
    }
    if (judge.is(from, "ALTER") && !second({"CONSTRAINT"})) {
        return judge_column_change(judge, action, table, line);
    }
    if (judge.is(from, "RENAME")) {
        judge.add(Effect::contract, line, "RENAME in " + table, old_fails,
                  "add the new name beside the old one, and remove that later");
        return;
    }
    if (judge.is(from, "SET") && second({"SCHEMA"})) {
        judge.add(Effect::contract, line, "SET SCHEMA of " + table, old_fails);
        return;
    }
    const bool harmless = judge.is(from, "VALIDATE") ||
                          (judge.is(from, "SET") && second({"(", "STATISTICS"})) ||
                          judge.is(from, "RESET");
    if (!harmless) {
        judge.add(Effect::unclear, line, "ALTER TABLE " + table + " " + judge.words[from].name(),
                  "what it does to the release before cannot be told");
    }
}

void judge_alter_table(Judge& judge) {
    std::size_t at = judge.past_options(2);
    const std::string table = judge.name(at);
    if (judge.made.contains(table)) {
        return;
    }
    at += judge.is(at, "*") ? 1 : 0;
    int depth = 0;
    std::size_t from = at;
    for (std::size_t i = at; i < judge.words.size(); ++i) {
        if (judge.is(i, "(")) {
            ++depth;
        } else if (judge.is(i, ")")) {
            --depth;
        } else if (judge.is(i, ",") && depth == 0) {
            judge_action(judge, from, i, table);
            from = i + 1;
        }
    }
    judge_action(judge, from, judge.words.size(), table);
}

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
