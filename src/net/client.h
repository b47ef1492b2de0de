// HTTP client over libcurl, which no other folder includes.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/context.h"
#include "net/event_parser.h"

namespace seatrial::net {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct ClientRequest {
    std::string method = "GET";
    std::string url;                      // http:// or https://
    std::filesystem::path unix_socket;    // connect there, whatever host the URL names
    Pairs headers;
    std::string body;                 // sent when not empty
    std::filesystem::path ca_file;    // certificates to trust; "" = the machine's
    bool no_proxy = false;            // whatever the environment says
    bool any_certificate = false;     // of https: for what serves on this machine by our own hand
    int upload_fd = -1;    // borrowed; sent to its end, chunked when its size is unknown (a pipe)
    std::size_t answer_limit = 16 << 20;    // bytes of the answer's body; more is an error
};

struct ClientResponse {
    int status = 0;
    Pairs headers;    // names in lower case
    std::string body;
    std::optional<std::string_view> header(std::string_view lower_case_name) const;
};

// Keeps its connections for the next request. Thread: one call at a time; movable.
class Client {
public:
    Client();
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    // Any HTTP status is a response. Redirects are not followed. Errors: unavailable (nothing
    // listens, connection broken), refused (the socket's mode keeps us out), invalid (URL,
    // header, answer too large), and the context's.
    Result<ClientResponse> request(const ClientRequest& request, const Context& ctx);

    // As request(), but the body of a 2xx answer goes to `on_body` as it comes, of any length and
    // not kept: ok when the server ends it or `on_body` returns false.
    using OnBody = std::function<bool(std::string_view)>;
    Result<ClientResponse> stream(const ClientRequest& request, const OnBody& on_body,
                                  const Context& ctx);

    // Listens to server-sent events until the server ends the stream (ok), `on_event` returns
    // false (ok) or ctx ends. An answer that is no event stream is returned with its body. The
    // caller reconnects, with the last id it saw as `last_event_id`.
    using OnEvent = std::function<bool(const Event&)>;
    Result<ClientResponse> listen(const ClientRequest& request, std::string_view last_event_id,
                                  const OnEvent& on_event, const Context& ctx);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}    // namespace seatrial::net
