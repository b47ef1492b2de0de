// What a migration's SQL does to those who still use the old shape: the release before it runs
// beside it, and comes back in a rollback. Reads text only; never connects anywhere.
//
// It is a reader of statements, not a parser of SQL: it knows where one begins and ends (comments,
// strings, dollar quotes, quoted names) and looks at its words. What it cannot judge (a DO
// block, EXECUTE, a statement that it does not know) is `unclear`, never silently good. Functions
// that a SELECT calls are not looked into.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace seatrial::guard {

enum class Effect {
    expand,      // the old release goes on as before
    slow,        // holds a lock that users wait for
    unclear,     // cannot be told from the text
    contract,    // the old release may fail, or data is gone: a rollback is not possible
};
std::string_view to_string(Effect effect);

struct Finding {
    Effect effect = Effect::expand;
    int line = 1;
    std::string what;      // "DROP COLUMN orders.note"
    std::string why;       // what happens to whom
    std::string remedy;    // what to write instead; "" = nothing better is known
};
// All but `expand`, in the order of the text. Linear in the size of the text.
std::vector<Finding> judge_sql(std::string_view sql);
// The worst of them; `expand` when there is none.
Effect worst(const std::vector<Finding>& findings);

}    // namespace seatrial::guard
