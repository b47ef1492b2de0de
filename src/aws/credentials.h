// Credentials of AWS, found as its own tools do: environment, shared credentials file.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace seatrial::aws {

struct Credentials {
    std::string key_id;
    Secret secret;
    Secret session_token;    // empty: they are not temporary
};

using Lookup = std::function<std::optional<std::string>(const char* name)>;    // getenv-like

// `profile` and `file`: "" = as the environment says. A profile or file that is named goes before
// the environment's own key. Errors: `invalid`, `refused` (others can read the file), `not_found`.
Result<Credentials> find_credentials(const std::string& profile, const std::filesystem::path& file,
                                     const Lookup& lookup);

// From the text of a shared credentials file. Errors: `not_found`, `invalid`; never with a value.
Result<Credentials> parse_credentials(std::string_view text, std::string_view profile);

}    // namespace seatrial::aws
