// Requests and responses as plain values: what a handler sees, and all it needs to be tested
// without a socket.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace seatrial::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Who is at the other end. On a UNIX socket the kernel says (SO_PEERCRED at connect time).
struct Peer {
    bool local = false;    // UNIX socket: uid, gid and pid count
    uid_t uid = static_cast<uid_t>(-1);
    gid_t gid = static_cast<gid_t>(-1);
    pid_t pid = 0;
    std::string address;    // "127.0.0.1:40312"; "unix" when local
};

struct Request {
    std::string method;
    std::string target;                   // as sent
    std::string path;                     // decoded, valid UTF-8 without control characters
    std::vector<std::string> segments;    // decoded one by one: "%2F" divides nothing
    Pairs query;                          // decoded, in order
    Pairs headers;                        // names in lower case, in order
    Pairs params;                         // captures of the route's pattern
    std::string body;                     // normal routes
    std::filesystem::path body_file;      // upload routes: gone after the handler, unless moved
    Peer peer;

    std::optional<std::string_view> header(std::string_view lower_case_name) const;
    std::optional<std::string_view> query_value(std::string_view name) const;
    // Of a capture that the route's pattern names; "" otherwise.
    std::string_view param(std::string_view name) const;
};

struct Response {
    int status = 200;
    Pairs headers;    // content-length, date and connection are the server's
    std::string body;
};

Response json(int status, std::string body);
// RFC 9457: {"type","title","status","detail","code","hint"}; `hint` only when there is one.
Response problem(int status, std::string_view code, std::string_view message,
                 std::string_view hint = {});
// The same from an Error: status by its code, "field" when it has one.
Response problem(const Error& error);
int status_of(Code code);
std::string_view reason_of(int status);

// Text as a JSON string with its quotes; ill-formed UTF-8 becomes '?'.
std::string json_string(std::string_view text);

// Path, segments and query of an origin-form or absolute-form target into `request`.
// `invalid`: bad escapes, control characters, ill-formed UTF-8, no leading slash.
Status parse_target(std::string_view target, Request& request);

// Status line and headers up to the empty line. Line breaks in values become spaces.
// `length`: content-length; none for a stream, which ends with the connection.
std::string render_head(const Response& response, std::optional<std::size_t> length,
                        bool keep_alive);

}    // namespace seatrial::http
