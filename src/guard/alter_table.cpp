#include <algorithm>

#include "guard/judge.h"

namespace seatrial::guard {
namespace {

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

}    // namespace

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

}    // namespace seatrial::guard
