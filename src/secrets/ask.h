// How every kind of source asks over HTTP.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/context.h"
#include "base/secret.h"
#include "net/client.h"
#include "secrets/source.h"

namespace seatrial::secrets {

// The answer, unless it is one of those that may be another a little later (429, 500, 502-504, no
// connection): then asked again a few times, within 20 s, as Retry-After says. Each try takes 10 s
// at most, the answer has 2 MB at most; plain http goes to this machine alone, past any proxy.
// Errors: as net::Client; `unavailable`, too, when the last answer was one of those.
Result<net::ClientResponse> ask(net::ClientRequest request, const Context& ctx);

// For an answer that is not 200: what it means, in words of our own. Its body is not shown.
Error explain_status(int status, const std::string& login_at);

// JSON of bounded depth. Errors: `invalid`, without any of the text.
Result<nlohmann::json> parse_json(std::string_view text);
// An object of texts, numbers and booleans.
Result<Values> values_of(const nlohmann::json& object);

// The token alone, from a file of mode 0600; fit for a header.
Result<Secret> read_token(const std::string& key, const std::string& path);

}    // namespace seatrial::secrets
