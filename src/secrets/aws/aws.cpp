#include "secrets/aws/aws.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "aws/sigv4.h"
#include "net/client.h"
#include "secrets/ask.h"

namespace seatrial::secrets::aws {
namespace {

using nlohmann::json;

constexpr const char* service = "secretsmanager";

struct Refusal {
    std::string_view name;
    Code code;
    const char* hint;
};
constexpr Refusal refusals[] = {
    {"ResourceNotFoundException", Code::not_found,
     "look at the name of the secret, and the region"},
    {"AccessDeniedException", Code::refused,
     "allow secretsmanager:GetSecretValue (and kms:Decrypt for a key of your own)"},
    {"DecryptionFailure", Code::refused, "allow kms:Decrypt for the key of the secret"},
    {"InvalidRequestException", Code::invalid, "look whether the secret is marked for deletion"},
    {"InvalidParameterException", Code::invalid, "look at the name of the secret"},
    {"UnrecognizedClientException", Code::refused, "renew the credentials"},
    {"InvalidClientTokenId", Code::refused, "renew the credentials"},
    {"IncompleteSignature", Code::refused, "renew the credentials"},
    {"InvalidSignatureException", Code::refused,
     "renew the credentials; look whether the machine's clock is right"},
    {"SignatureDoesNotMatch", Code::refused,
     "renew the credentials; look whether the machine's clock is right"},
    {"ExpiredTokenException", Code::refused, "renew the credentials"},
    {"ThrottlingException", Code::unavailable, "try again in a minute"},
};

std::string endpoint(const std::string& region) {
    return "https://secretsmanager." + region + ".amazonaws.com" +
           (region.starts_with("cn-") ? ".cn" : "");
}

std::string host_of(const std::string& url) {
    const auto begin = url.find("://") + 3;
    return url.substr(begin, url.find('/', begin) - begin);
}

Error explain(const net::ClientResponse& answer) {
    const std::string said = parse_refusal(answer.body);
    const auto* const known = std::ranges::find(refusals, said, &Refusal::name);
    if (known == std::end(refusals)) {
        return explain_status(answer.status, "the AWS credentials");
    }
    return {known->code, "it answers " + std::to_string(answer.status) + ", " + said, known->hint,
            "", nullptr};
}

}    // namespace

std::string parse_refusal(std::string_view body) {
    const auto answer = parse_json(body);
    if (!answer || !answer->is_object() || !answer->contains("__type") ||
        !(*answer)["__type"].is_string()) {
        return "";
    }
    const std::string type = (*answer)["__type"];
    const std::string name =
        type.substr(type.find('#') == std::string::npos ? 0 : type.find('#') + 1);
    const bool known = std::ranges::find(refusals, name, &Refusal::name) != std::end(refusals);
    return known ? name : "";
}

Result<Values> parse_answer(std::string_view body, const std::string& variable) {
    TRY_ASSIGN(const auto answer, parse_json(body));
    if (!answer.is_object() || !answer.contains("SecretString") ||
        !answer["SecretString"].is_string()) {
        return fail(Code::invalid, "the secret has no text",
                    "write it as text: a JSON object, or one value with `as`");
    }
    const std::string text = answer["SecretString"];
    if (!variable.empty()) {
        return Values{{variable, Secret(text)}};
    }
    const auto inner = parse_json(text);
    if (!inner || !inner->is_object()) {
        return fail(Code::invalid, "the secret is no JSON object",
                    "write {\"NAME\": \"value\"}, or say with `as` whose value it is");
    }
    return values_of(*inner);
}

Result<Values> Aws::read(const config::SecretSource& from, const Context& ctx) const {
    TRY_ASSIGN(
        const auto credentials,
        seatrial::aws::find_credentials(from.profile, from.credentials_file, [](const char* name) {
            const char* value = std::getenv(name);
            return value == nullptr ? std::nullopt : std::optional<std::string>(value);
        }));
    net::ClientRequest request;
    request.method = "POST";
    const std::string base = from.url.empty() ? endpoint(from.region) : from.url;
    request.url = base + "/";
    request.body =
        json{{"SecretId", from.place}}.dump(-1, ' ', true, json::error_handler_t::replace);
    request.headers = {{"content-type", "application/x-amz-json-1.1"},
                       {"x-amz-target", "secretsmanager.GetSecretValue"}};
    const auto first_slash = base.find('/', base.find("://") + 3);
    const seatrial::aws::Signable signable{
        request.method,
        host_of(base),
        (first_slash == std::string::npos ? "" : base.substr(first_slash)) + "/",
        {},
        request.headers,
        request.body};
    for (auto& header :
         seatrial::aws::sign(signable, credentials, from.region, service, now_utc())) {
        request.headers.push_back(std::move(header));
    }
    TRY_ASSIGN(const auto answer, ask(std::move(request), ctx));
    if (answer.status != 200) {
        return tl::unexpected(explain(answer));
    }
    return parse_answer(answer.body, from.variable);
}

}    // namespace seatrial::secrets::aws
