// What the types of the key table mean: in words for people, and as a check of one text.
#pragma once

#include <string_view>
#include <vector>

#include "config/keys.h"

namespace seatrial::config {

// What may be written for a type: {"a duration", "write it with its unit: 90s, 15m, 24h"}.
struct TypeText {
    std::string_view name;
    std::string_view remedy;
};
const TypeText& describe(Type type);

// The values of a choice.
std::vector<std::string_view> choices(const Key& key);

bool is_list_type(Type type);
// What one item of a list type must be.
Type item_type(Type type);
// Types whose check needs the text alone; true for the others.
bool fits(Type type, std::string_view text);

}    // namespace seatrial::config
