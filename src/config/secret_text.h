// Guesses at what is a secret, from names and values alone.
#pragma once

#include <string_view>

namespace seatrial::config {

// "API_TOKEN", "DB_PASSWORD", ...
bool name_is_secret(std::string_view name);
// Long mixtures of letters and digits, known prefixes, URLs with a password in them.
bool value_is_secret(std::string_view value);
// PEM, of any kind.
bool is_private_key(std::string_view text);

}    // namespace seatrial::config
