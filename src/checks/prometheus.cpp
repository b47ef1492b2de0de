#include "checks/prometheus.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "net/client.h"
#include "net/url.h"

namespace seatrial::checks {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto patience = 3s;
constexpr std::size_t answer_limit = 1 << 20;
constexpr std::size_t longest_value = 200;
constexpr int deepest = 16;

std::string cut(std::string_view text) {
    return printable(text.substr(0, longest_value)) + (text.size() > longest_value ? "..." : "");
}

// [1435781451.781, "0.97"]; nullopt: it is no such pair.
std::optional<double> value_of(const json& pair) {
    if (!pair.is_array() || pair.size() != 2 || !pair[1].is_string()) {
        return std::nullopt;
    }
    const auto& text = pair[1].get_ref<const std::string&>();
    double out = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text == "NaN") {
        return std::nan("");
    }
    return read.ec == std::errc() && read.ptr == text.data() + text.size() ? std::optional(out)
                                                                           : std::nullopt;
}

std::string text_at(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}    // namespace

Result<double> parse_prometheus(std::string_view body) {
    const auto in = parse_bounded_json(body, deepest);
    if (!in || !in->is_object()) {
        return fail(Code::invalid, "its answer is none of Prometheus",
                    "look at the gate's `prometheus`");
    }
    if (text_at(*in, "status") != "success") {
        return fail(Code::invalid, "Prometheus refuses the query: " + cut(text_at(*in, "error")),
                    "try it in Prometheus' own page");
    }
    const json data = in->value("data", json());
    const json result = data.is_object() ? data.value("result", json()) : json();
    const std::string type = data.is_object() ? text_at(data, "resultType") : "";
    if (type == "vector" && result.is_array() && result.size() > 1) {
        return fail(Code::invalid,
                    "the query answers " + std::to_string(result.size()) + " series, not one",
                    "sum them: sum(...) / sum(...)");
    }
    if (type == "vector" && result.is_array() && result.empty()) {
        return fail(Code::not_found, "nothing is measured");
    }
    const json one = type == "vector" && result.is_array() && result[0].is_object()
                         ? result[0].value("value", json())
                         : result;
    const auto value = value_of(one);
    if (!value) {
        return fail(Code::invalid, "the query answers no number",
                    "write one that gives a scalar, or one series");
    }
    if (std::isnan(*value)) {
        return fail(Code::not_found, "nothing is measured");
    }
    return *value;
}

Result<double> ask_prometheus(const std::string& url, const std::string& query,
                              const Context& ctx) {
    net::ClientRequest request;
    request.method = "POST";
    request.url = url + "/api/v1/query";
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
    request.body = "query=" + net::escape_url(query);
    request.answer_limit = answer_limit;
    net::Client client;
    const auto answer = client.request(request, ctx.with_timeout(patience));
    TRY(ctx.ok());
    if (!answer) {
        return fail(Code::unavailable, "Prometheus does not answer: " + answer.error().message,
                    "look whether it runs at " + url);
    }
    // It tells faults of a query as JSON, with 400 or 422.
    if (answer->status != 200 && answer->status != 400 && answer->status != 422) {
        return fail(Code::unavailable, "Prometheus answers " + std::to_string(answer->status));
    }
    return parse_prometheus(answer->body);
}

}    // namespace seatrial::checks
