#include "cli/client.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds reconnect_pause{100};

Code code_of(std::string_view text) {
    for (const Code code : {Code::invalid, Code::failed, Code::not_found, Code::conflict,
                            Code::refused, Code::unavailable, Code::timed_out, Code::cancelled}) {
        if (text == to_string(code)) {
            return code;
        }
    }
    return Code::internal;
}

Error error_of(const net::ClientResponse& response) {
    const json problem = json::parse(response.body, nullptr, false);
    if (!problem.is_object()) {
        return {Code::internal, "the daemon answered " + std::to_string(response.status), "", "",
                nullptr};
    }
    return {code_of(problem.value("code", "")),
            problem.value("detail", problem.value("title", "failed")), problem.value("hint", ""),
            problem.value("field", ""), nullptr};
}

}    // namespace

DaemonClient::DaemonClient(const Globals& globals) : socket_(globals.data / "seatrial.sock") {}

Result<net::ClientResponse> DaemonClient::send(const net::ClientRequest& request,
                                               const Context& ctx) {
    auto response = http_.request(request, ctx);
    if (!response && response.error().code == Code::unavailable) {
        Error error = std::move(response).error();
        error.message = "no seatrial daemon answers at " + socket_.string() + ": " + error.message;
        error.hint =
            "start one with `seatrial serve` or `seatrial up`; another folder is chosen "
            "with SEATRIAL_DATA";
        error.mark = "server";
        return tl::unexpected(std::move(error));
    }
    return response;
}

Result<json> DaemonClient::call(const std::string& method, const std::string& path,
                                const json& body, const Context& ctx) {
    net::ClientRequest request;
    request.method = method;
    request.url = "http://seatrial" + path;
    request.unix_socket = socket_;
    request.answer_limit = 256 << 20;
    if (!body.is_null()) {
        request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
        request.headers.emplace_back("content-type", "application/json");
    }
    TRY_ASSIGN(const auto response, send(request, ctx));
    json answer = json::parse(response.body, nullptr, false);
    if (response.status == 409 && answer.is_object() && answer.contains("known")) {
        return answer;    // commit_missing is an answer, not a fault
    }
    if (response.status >= 300) {
        return tl::unexpected(error_of(response));
    }
    return answer;
}

Result<json> DaemonClient::get(const std::string& path, const Context& ctx) {
    return call("GET", path, nullptr, ctx);
}

Status DaemonClient::upload(const std::string& path, int fd, const Context& ctx) {
    net::ClientRequest request;
    request.method = "PUT";
    request.url = "http://seatrial" + path;
    request.unix_socket = socket_;
    request.upload_fd = fd;
    TRY_ASSIGN(const auto response, send(request, ctx));
    if (response.status >= 300) {
        return tl::unexpected(error_of(response));
    }
    return {};
}

Status DaemonClient::listen(const std::string& path, const net::Client::OnEvent& on_event,
                            const Context& ctx) {
    std::string last;
    bool wanted = true;
    while (wanted) {
        net::ClientRequest request;
        request.url = "http://seatrial" + path;
        request.unix_socket = socket_;
        auto response = http_.listen(
            request, last,
            [&](const net::Event& event) {
                last = event.id;
                wanted = on_event(event);
                return wanted;
            },
            ctx);
        TRY(ctx.ok());
        if (response && response->status >= 300) {
            return tl::unexpected(error_of(*response));
        }
        if (wanted) {
            // The daemon went away: it may be back in a moment, and the records know the rest.
            TRY(wait_for(reconnect_pause, ctx));
        }
    }
    return {};
}

std::string encode(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            out += c;
        } else {
            out += '%';
            out += hex[byte >> 4U];
            out += hex[byte & 15U];
        }
    }
    return out;
}

}    // namespace seatrial::cli
