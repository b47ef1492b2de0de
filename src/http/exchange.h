// Inside of http/: one request and what becomes of it.
#pragma once

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/file.h"
#include "http/connection.h"

namespace seatrial::http {

// Results come as values: no exception leaves a co_await, and each stands alone in its
// statement (g++ 12 miscompiles the rest).
inline constexpr auto as_value =
    boost::asio::as_tuple(boost::asio::use_awaitable_t<boost::asio::io_context::executor_type>{});

struct Connection::Exchange {
    boost::beast::http::request_parser<boost::beast::http::buffer_body> parser;
    Request request;
    const Route* route = nullptr;
    Response response;
    Fd file;                 // upload
    std::size_t size = 0;    // of the body so far
    bool keep = false;       // the connection may serve another request

    ~Exchange() { remove_upload(); }
    // What the handler has not moved away. May take its time.
    void remove_upload() {
        if (!request.body_file.empty()) {
            ::unlink(request.body_file.c_str());
            request.body_file.clear();
        }
    }
    bool refuse(Response with) {
        response = std::move(with);
        keep = false;
        return true;
    }
};

}    // namespace seatrial::http
