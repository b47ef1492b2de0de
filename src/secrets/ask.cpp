#include "secrets/ask.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/private_file.h"
#include "base/text.h"
#include "config/values.h"

namespace seatrial::secrets {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr int most_tries = 4;
constexpr auto whole_time = 20s;
constexpr auto try_time = 10s;
constexpr auto first_pause = 300ms;
constexpr std::size_t answer_limit = 2 << 20;
constexpr std::size_t longest_token = 16 << 10;
constexpr int deepest = 8;

bool may_change(int status) {
    return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

std::chrono::milliseconds pause_of(const Result<net::ClientResponse>& answer, int tried) {
    std::chrono::milliseconds pause = first_pause * (1 << tried);
    const auto wished = answer ? answer->header("retry-after") : std::nullopt;
    const auto seconds = wished ? config::parse_integer(trim(*wished)) : std::nullopt;
    if (seconds && *seconds > 0) {
        pause = std::max<std::chrono::milliseconds>(
            pause, std::chrono::seconds(std::min<std::int64_t>(*seconds, 3600)));
    }
    return pause;
}

}    // namespace

Result<net::ClientResponse> ask(net::ClientRequest request, const Context& ctx) {
    const auto place = std::string_view(request.url).substr(0, request.url.find('?'));
    if (const std::string problem = config::problem_of_url(place); !problem.empty()) {
        return fail(Code::invalid, problem);
    }
    request.answer_limit = answer_limit;
    request.no_proxy = request.url.starts_with("http://");
    const auto end = std::chrono::steady_clock::now() + whole_time;
    net::Client client;
    for (int tried = 0;; ++tried) {
        auto answer = client.request(request, ctx.with_timeout(try_time));
        TRY(ctx.ok());
        const bool later = answer ? may_change(answer->status)
                                  : answer.error().code == Code::unavailable ||
                                        answer.error().code == Code::timed_out;
        if (!later) {
            return answer;
        }
        const auto pause = pause_of(answer, tried);
        if (tried + 1 == most_tries || std::chrono::steady_clock::now() + pause > end) {
            if (!answer) {
                Error error = answer.error();
                error.code = Code::unavailable;
                error.hint = "nothing was changed; try again when it answers";
                return tl::unexpected(std::move(error));
            }
            return tl::unexpected(explain_status(answer->status, ""));
        }
        TRY(wait_for(pause, ctx));
    }
}

Error explain_status(int status, const std::string& login_at) {
    const std::string answered = "it answers " + std::to_string(status);
    const auto error = [&](Code code, const std::string& why, std::string hint) {
        return Error{code, answered + why, std::move(hint), "", nullptr};
    };
    if (status == 401 || status == 403) {
        return error(Code::refused, ": it refuses what we log in with",
                     "renew " + login_at + ", or give it the right to read this");
    }
    if (status == 404) {
        return error(Code::not_found, ": there is no such thing", "look at the names");
    }
    if (status == 429) {
        return error(Code::unavailable, ": we have asked too often", "try again in a minute");
    }
    if (status >= 500) {
        return error(Code::unavailable, ": it is not able to answer now",
                     "nothing was changed; try again when it is");
    }
    if (status >= 300 && status < 400) {
        return error(Code::invalid, ": it is somewhere else", "write its final URL");
    }
    return error(Code::invalid, "", "look at its URL and names");
}

Result<json> parse_json(std::string_view text) {
    auto out = parse_bounded_json(text, deepest);
    if (!out) {
        return fail(Code::invalid, "its answer is no JSON, or was cut off",
                    "nothing was changed; look whether it is what it shall be");
    }
    return std::move(*out);
}

Result<Values> values_of(const json& object) {
    if (!object.is_object()) {
        return fail(Code::invalid, "its answer holds no variables",
                    "look whether the right place in it is named");
    }
    Values out;
    for (const auto& [name, value] : object.items()) {
        if (value.is_string()) {
            out[name] = Secret(value.get<std::string>());
        } else if (value.is_number() || value.is_boolean()) {
            out[name] = Secret(value.dump());
        } else {
            return fail(Code::invalid,
                        "'" + printable(name.substr(0, 128)) + "' has no plain value",
                        "make it text");
        }
    }
    return out;
}

Result<Secret> read_token(const std::string& key, const std::string& path) {
    auto text = read_private_file(path, longest_token);
    if (!text) {
        Error error = text.error();
        error.message = key + ": " + error.message;
        return tl::unexpected(std::move(error));
    }
    const std::string_view token = trim(*text);
    if (token.empty() || !std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7F; })) {
        return fail(Code::invalid, key + ": " + path + " holds no token, or more than one",
                    "write the token alone into it");
    }
    return Secret(std::string(token));
}

}    // namespace seatrial::secrets
