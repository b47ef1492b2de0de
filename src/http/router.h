// The table from method and path to handler.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "http/event_stream.h"
#include "http/message.h"

namespace seatrial::http {

// Runs on a thread of the server's blocking pool; its Context is cancelled when the client goes
// away or the server's stop has run out of patience.
using Handler = std::function<Response(const Request&, const Context&)>;
// As Handler. Status 200 starts the stream (what was sent before is sent first, and the thread
// is free again as soon as the handler returns); any other response is the whole answer.
using StreamHandler =
    std::function<Response(const Request&, const std::shared_ptr<EventStream>&, const Context&)>;

// normal: the body is a string; upload: the body is a file; stream: server-sent events.
enum class RouteKind { normal, upload, stream };

struct Route {
    std::string method;     // upper case; GET answers HEAD too
    std::string pattern;    // "/api/v1/previews/{id}"; a last "{rest*}" takes what remains
    RouteKind kind = RouteKind::normal;
    Handler handler;                     // normal, upload
    StreamHandler stream;                // stream
    std::size_t body_limit = 1 << 20;    // bytes; more is answered with 413
};

class Router {
public:
    // Aborts on a malformed pattern or a missing handler: the table is ours.
    explicit Router(std::vector<Route> routes);

    // Called for every request that has a route, before its body is read, on the io thread: it
    // must not wait. A response ends the request (who may come in, which Host is accepted).
    using Guard = std::function<std::optional<Response>(const Request&)>;
    void set_guard(Guard guard) { guard_ = std::move(guard); }
    const Guard& guard() const { return guard_; }

    // The first row that fits, its captures in request.params; otherwise the 404 or 405 answer
    // in `refusal`. The row lives as long as the router.
    const Route* find(Request& request, Response& refusal) const;

private:
    struct Row {
        Route route;
        std::vector<std::string> parts;
    };
    std::vector<Row> rows_;
    Guard guard_;
};

}    // namespace seatrial::http
