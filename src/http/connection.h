// Inside of http/: one connection, as a coroutine on the io thread.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <optional>
#include <unordered_set>

#include "http/server.h"
#include "http/worker_pool.h"

namespace seatrial::http {

class Connection;

// What connections share. Io thread, unless atomic or with a lock of its own.
struct Core {
    Core(ServerOptions given, Router table)
        : options(std::move(given)),
          router(std::move(table)),
          pool({options.threads, options.waiting, options.thread_idle}, "http-worker") {}

    const ServerOptions options;
    const Router router;
    boost::asio::io_context io{1};
    WorkerPool pool;
    std::unordered_set<Connection*> connections;
    std::atomic<std::size_t> connection_count = 0;
    std::function<void()> on_connection_gone;
    bool stopping = false;
    std::uint64_t uploads = 0;

    void report(std::string_view text) const {
        if (options.report) {
            options.report(text);
        }
    }
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
    using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                    boost::asio::io_context::executor_type>;
    Connection(Core& core, Socket socket);
    ~Connection();

    void start();    // keeps itself alive until its end
    void stop();     // after the request at hand
    void abort();    // now

private:
    template <class T>
    using Task = boost::asio::awaitable<T, boost::asio::io_context::executor_type>;
    using Timer =
        boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                          boost::asio::wait_traits<std::chrono::steady_clock>,
                                          boost::asio::io_context::executor_type>;
    struct Exchange;    // one request and what becomes of it

    Task<void> run();
    Task<bool> serve_one();
    Task<bool> read_head(Exchange& exchange);
    Task<bool> read_body(Exchange& exchange);
    Task<bool> read_piece(Exchange& exchange, char* data, std::size_t size, std::size_t& got);
    Task<bool> read_upload(Exchange& exchange);
    Task<bool> expect_body(Exchange& exchange);
    Task<bool> on_pool(WorkerPool::Job job, bool must);
    Task<void> run_handler(Exchange& exchange);
    Task<void> run_stream(Exchange& exchange);
    Task<bool> answer(Exchange& exchange);
    Task<bool> write_text(std::string text);
    Task<void> linger();

    bool fill_request(Exchange& exchange);
    void arm(std::chrono::milliseconds timeout);
    void wait_deadline();
    void disarm();
    void watch();    // notices that the client goes away
    void unwatch();
    void client_gone();

    Core& core_;
    Socket socket_;
    Timer deadline_;
    Timer event_;    // never expires by itself but in streams: cancelled to wake the coroutine
    Peer peer_;
    boost::beast::flat_buffer buffer_;
    std::optional<CancelSource> cancel_;    // of the handler at work
    std::shared_ptr<EventStream> stream_;
    std::uint64_t watch_id_ = 0;
    bool idle_ = false;    // no whole header yet: nothing is lost by closing
    bool served_ = false;
    bool closing_ = false;
    bool timed_out_ = false;
    bool gone_ = false;
    bool job_done_ = false;
};

Peer peer_of(int socket);

}    // namespace seatrial::http
