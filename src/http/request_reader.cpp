// The part of a connection that reads requests.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <cerrno>

#include "http/exchange.h"

namespace seatrial::http {

namespace beast = boost::beast;
namespace {

constexpr std::size_t text_piece = 64 << 10;
constexpr std::size_t upload_piece = 512 << 10;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& byte : out) {
        byte = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
    }
    return out;
}

Status write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        const ssize_t done = ::write(fd, data.data(), data.size());
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return fail_errno("storing the upload", errno);
        }
        data.remove_prefix(static_cast<std::size_t>(done));
    }
    return {};
}

// A fault of the parser, as the status the client should see; 0: nobody to tell.
int status_of_fault(const boost::system::error_code& error) {
    using beast::http::error;
    if (error == error::header_limit || error == error::buffer_overflow) {
        return 431;
    }
    if (error == error::body_limit) {
        return 413;
    }
    if (error == error::end_of_stream || error == error::partial_message) {
        return 0;
    }
    return error.category() == make_error_code(error::bad_method).category() ? 400 : 0;
}

}    // namespace

// True: go on, with a response when the request is refused already. False: nobody to answer.
Connection::Task<bool> Connection::read_head(Exchange& exchange) {
    exchange.response.status = 0;
    exchange.parser.header_limit(static_cast<std::uint32_t>(core_.options.header_bytes));
    exchange.parser.body_limit(boost::none);    // ours is the route's
    arm(core_.options.header_timeout);
    const auto [error, size] =
        co_await beast::http::async_read_header(socket_, buffer_, exchange.parser, as_value);
    if (!error) {
        co_return fill_request(exchange);
    }
    if (timed_out_) {
        co_return exchange.refuse(problem(408, "timed_out", "the request took too long"));
    }
    const int status = status_of_fault(error);
    if (status == 0) {
        co_return false;
    }
    co_return exchange.refuse(
        problem(status, "invalid",
                status == 431 ? "the request's header is too large" : "this is not HTTP"));
}

bool Connection::fill_request(Exchange& exchange) {
    Request& request = exchange.request;
    const auto& message = exchange.parser.get();
    exchange.keep = message.keep_alive();
    request.method = message.method_string();
    request.peer = peer_;
    for (const auto& field : message) {
        request.headers.emplace_back(lower(field.name_string()), field.value());
    }
    const auto parsed = parse_target(message.target(), request);
    if (!parsed) {
        return exchange.refuse(problem(parsed.error()));
    }
    Response refusal;
    exchange.route = core_.router.find(request, refusal);
    if (exchange.route == nullptr) {
        return exchange.refuse(std::move(refusal));
    }
    if (core_.router.guard()) {
        auto refused = core_.router.guard()(request);
        if (refused) {
            return exchange.refuse(std::move(*refused));
        }
    }
    const auto length = exchange.parser.content_length();
    if (length && *length > exchange.route->body_limit) {
        return exchange.refuse(problem(413, "invalid", "the body is too large"));
    }
    return true;
}

Connection::Task<bool> Connection::expect_body(Exchange& exchange) {
    const auto expect = exchange.request.header("expect");
    if (expect && lower(*expect) == "100-continue" && buffer_.size() == 0) {
        const bool written = co_await write_text("HTTP/1.1 100 Continue\r\n\r\n");
        co_return written;
    }
    co_return true;
}

Connection::Task<bool> Connection::read_body(Exchange& exchange) {
    if (exchange.route->kind == RouteKind::upload) {
        const bool uploaded = co_await read_upload(exchange);
        co_return uploaded;
    }
    if (exchange.parser.is_done()) {
        co_return true;
    }
    bool go_on = co_await expect_body(exchange);
    arm(core_.options.body_timeout);
    std::string& body = exchange.request.body;
    const auto length = exchange.parser.content_length().value_or(text_piece);
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(length, text_piece));
    while (go_on && exchange.response.status == 0 && !exchange.parser.is_done()) {
        const auto before = body.size();
        std::size_t got = 0;
        body.resize(before + piece);
        go_on = co_await read_piece(exchange, body.data() + before, piece, got);
        body.resize(before + got);
    }
    co_return go_on;
}

// Reads up to `size` bytes of the body, fewer only at its end.
Connection::Task<bool> Connection::read_piece(Exchange& exchange, char* data, std::size_t size,
                                              std::size_t& got) {
    // One byte over the limit is enough to know.
    size = std::min(size, exchange.route->body_limit - exchange.size + 1);
    auto& body = exchange.parser.get().body();
    body.data = data;
    body.size = size;
    body.more = true;
    const auto [error, count] =
        co_await beast::http::async_read(socket_, buffer_, exchange.parser, as_value);
    got = size - body.size;
    exchange.size += got;
    if (exchange.size > exchange.route->body_limit) {
        co_return exchange.refuse(problem(413, "invalid", "the body is too large"));
    }
    if (!error || error == beast::http::error::need_buffer) {
        co_return true;
    }
    if (timed_out_) {
        co_return exchange.refuse(problem(408, "timed_out", "the body took too long"));
    }
    if (status_of_fault(error) == 400) {
        co_return exchange.refuse(problem(400, "invalid", "the body is not as announced"));
    }
    co_return false;
}

Connection::Task<bool> Connection::read_upload(Exchange& exchange) {
    auto path = core_.options.upload_folder / ("upload-" + std::to_string(++core_.uploads));
    exchange.file =
        Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!exchange.file) {
        co_return exchange.refuse(problem(fail_errno("upload", errno).value()));
    }
    exchange.request.body_file = std::move(path);
    bool go_on = co_await expect_body(exchange);
    std::string piece(upload_piece, '\0');
    while (go_on && exchange.response.status == 0 && !exchange.parser.is_done()) {
        arm(core_.options.body_timeout);
        std::size_t got = 0;
        go_on = co_await read_piece(exchange, piece.data(), piece.size(), got);
        if (!go_on || exchange.response.status != 0) {
            break;
        }
        Status stored;
        auto store = [&stored, &exchange, &piece, got] {
            stored = write_all(exchange.file.get(), std::string_view(piece).substr(0, got));
        };
        // As many at once as there are uploads; the disk may take its time elsewhere.
        disarm();
        const bool taken = co_await on_pool(std::move(store), true);
        if (!taken || !stored) {
            exchange.refuse(stored ? problem(503, "unavailable", "the server is busy")
                                   : problem(stored.error()));
        }
    }
    exchange.file.reset();
    co_return go_on;
}

}    // namespace seatrial::http
