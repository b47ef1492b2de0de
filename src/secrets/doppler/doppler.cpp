#include "secrets/doppler/doppler.h"

#include <nlohmann/json.hpp>

#include "net/client.h"
#include "net/url.h"
#include "secrets/ask.h"

namespace seatrial::secrets::doppler {
namespace {

constexpr const char* own_url = "https://api.doppler.com";
// Doppler's own: they name the config, so they differ between environments by their nature.
constexpr const char* not_ours[] = {"DOPPLER_PROJECT", "DOPPLER_ENVIRONMENT", "DOPPLER_CONFIG"};

}    // namespace

Result<Values> parse_answer(std::string_view body) {
    TRY_ASSIGN(const auto answer, parse_json(body));
    TRY_ASSIGN(auto out, values_of(answer));
    for (const char* name : not_ours) {
        out.erase(name);
    }
    return out;
}

Result<Values> Doppler::read(const config::SecretSource& from, const Context& ctx) const {
    TRY_ASSIGN(const Secret token, read_token("token_file", from.token_file));
    net::ClientRequest request;
    request.url =
        (from.url.empty() ? own_url : from.url) +
        "/v3/configs/config/secrets/download?format=json&project=" + net::escape_url(from.place) +
        "&config=" + net::escape_url(from.config);
    request.headers = {{"accept", "application/json"},
                       {"authorization", "Bearer " + token.reveal()}};
    TRY_ASSIGN(const auto answer, ask(std::move(request), ctx));
    if (answer.status != 200) {
        return tl::unexpected(explain_status(answer.status, "the token in " + from.token_file));
    }
    return parse_answer(answer.body);
}

}    // namespace seatrial::secrets::doppler
