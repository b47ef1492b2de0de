#include "secrets/vault/vault.h"

#include <nlohmann/json.hpp>

#include "net/client.h"
#include "net/url.h"
#include "secrets/ask.h"

namespace seatrial::secrets::vault {
namespace {

using nlohmann::json;

net::ClientRequest make_request(const config::SecretSource& from, const std::string& path) {
    net::ClientRequest out;
    out.url = from.url + "/v1/" + net::escape_url(path, true);
    out.ca_file = from.ca_file;
    out.headers = {{"accept", "application/json"}, {"x-vault-request", "true"}};
    if (!from.name_space.empty()) {
        out.headers.emplace_back("x-vault-namespace", from.name_space);
    }
    return out;
}

const json& member(const json& object, const char* name) {
    static const json none;
    const auto found = object.is_object() ? object.find(name) : object.end();
    return object.is_object() && found != object.end() ? *found : none;
}

// A token of a role, good for a while.
Result<Secret> log_in(const config::SecretSource& from, const Context& ctx) {
    TRY_ASSIGN(const Secret id, read_token("secret_id_file", from.secret_id_file));
    net::ClientRequest request = make_request(from, "auth/approle/login");
    request.method = "POST";
    request.headers.emplace_back("content-type", "application/json");
    request.body = json{{"role_id", from.role_id}, {"secret_id", id.reveal()}}.dump(
        -1, ' ', true, json::error_handler_t::replace);
    TRY_ASSIGN(const auto answer, ask(std::move(request), ctx));
    if (answer.status == 400) {    // so it says that role or secret id are not right
        return tl::unexpected(explain_status(403, "the secret id in " + from.secret_id_file));
    }
    if (answer.status != 200) {
        return tl::unexpected(
            explain_status(answer.status, "the secret id in " + from.secret_id_file));
    }
    TRY_ASSIGN(const auto body, parse_json(answer.body));
    const json& token = member(member(body, "auth"), "client_token");
    if (!token.is_string() || token.get<std::string>().empty()) {
        return fail(Code::invalid, "its answer to the login holds no token",
                    "look whether the URL is that of Vault");
    }
    return Secret(token.get<std::string>());
}

}    // namespace

Result<Values> parse_answer(std::string_view body) {
    TRY_ASSIGN(const auto answer, parse_json(body));
    const json& data = member(answer, "data");
    // Version 2 has what it knows of the secret beside it.
    const bool versioned = member(data, "metadata").is_object() && data.contains("data");
    return values_of(versioned ? member(data, "data") : data);
}

Result<Values> Vault::read(const config::SecretSource& from, const Context& ctx) const {
    const bool by_role = !from.role_id.empty();
    TRY_ASSIGN(const Secret token,
               by_role ? log_in(from, ctx) : read_token("token_file", from.token_file));
    net::ClientRequest request = make_request(from, from.place);
    request.headers.emplace_back("x-vault-token", token.reveal());
    TRY_ASSIGN(const auto answer, ask(std::move(request), ctx));
    if (answer.status != 200) {
        return tl::unexpected(explain_status(
            answer.status, by_role ? "the role's policy" : "the token in " + from.token_file));
    }
    return parse_answer(answer.body);
}

}    // namespace seatrial::secrets::vault
