#include "http/connection.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

#include "http/exchange.h"

namespace seatrial::http {

namespace asio = boost::asio;
namespace {

constexpr std::size_t buffer_bytes = 64 << 10;
constexpr std::size_t linger_bytes = 4 << 20;
constexpr std::chrono::milliseconds linger_timeout{2'000};
constexpr std::chrono::milliseconds cancel_again{200};

}    // namespace

Connection::Connection(Core& core, Socket socket)
    : core_(core),
      socket_(std::move(socket)),
      deadline_(core.io),
      event_(core.io),
      peer_(peer_of(socket_.native_handle())),
      buffer_(core.options.header_bytes + buffer_bytes) {
    core_.connections.insert(this);
    core_.connection_count = core_.connections.size();
}

Connection::~Connection() {
    core_.connections.erase(this);
    core_.connection_count = core_.connections.size();
    if (core_.on_connection_gone) {
        core_.on_connection_gone();
    }
}

void Connection::start() {
    auto self = shared_from_this();
    auto whole = [self]() -> Task<void> { co_await self->run(); };
    asio::co_spawn(core_.io.get_executor(), std::move(whole), asio::detached);
}

void Connection::stop() {
    closing_ = true;
    if (idle_) {
        boost::system::error_code ignored;
        socket_.cancel(ignored);
    }
    if (stream_) {
        stream_->close();
    }
}

void Connection::abort() {
    closing_ = true;
    client_gone();
    boost::system::error_code ignored;
    socket_.close(ignored);
}

void Connection::arm(std::chrono::milliseconds timeout) {
    timed_out_ = false;
    deadline_.expires_after(timeout);
    wait_deadline();
}

void Connection::wait_deadline() {
    deadline_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        // An expiry that was queued when the timer was set anew is not ours any more.
        if (error || !self || self->deadline_.expiry() > std::chrono::steady_clock::now()) {
            return;
        }
        self->timed_out_ = true;
        boost::system::error_code ignored;
        self->socket_.cancel(ignored);
        // A read that completed at this very moment was not cancelled, and the next one of its
        // operation would wait for ever: until somebody arms or disarms, cancel again.
        self->deadline_.expires_after(cancel_again);
        self->wait_deadline();
    });
}

void Connection::disarm() {
    deadline_.expires_at(std::chrono::steady_clock::time_point::max());
}

void Connection::client_gone() {
    gone_ = true;
    if (cancel_) {
        cancel_->cancel();
    }
    event_.cancel();
}

void Connection::watch() {
    const auto id = ++watch_id_;
    auto on_ready = [weak = weak_from_this(), id](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || !self || self->watch_id_ != id) {
            return;
        }
        char byte = 0;
        const auto got = ::recv(self->socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        const int reason = errno;
        if (got == 0 || (got < 0 && reason != EAGAIN && reason != EINTR)) {
            self->client_gone();
        }
        // Otherwise the next request is here early, and we hear no more of the client until
        // it is its turn.
    };
    socket_.async_wait(Socket::wait_read, std::move(on_ready));
}

void Connection::unwatch() {
    ++watch_id_;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

Connection::Task<void> Connection::run() {
    bool more = true;
    while (more) {
        more = co_await serve_one();
    }
    deadline_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
}

Connection::Task<bool> Connection::serve_one() {
    if (closing_) {
        co_return false;
    }
    idle_ = true;
    if (buffer_.size() == 0) {
        arm(served_ ? core_.options.idle_timeout : core_.options.header_timeout);
        const auto [error] = co_await socket_.async_wait(Socket::wait_read, as_value);
        if (error || closing_) {
            co_return false;
        }
    }
    Exchange exchange;
    bool go_on = co_await read_head(exchange);
    idle_ = false;
    if (go_on && exchange.response.status == 0) {
        go_on = co_await read_body(exchange);
    }
    disarm();
    if (!go_on) {
        co_return false;
    }
    if (exchange.response.status == 0) {
        if (exchange.route->kind == RouteKind::stream) {
            co_await run_stream(exchange);
            co_return false;
        }
        co_await run_handler(exchange);
    }
    served_ = true;
    const bool again = co_await answer(exchange);
    co_return again;
}

// Runs `job` on the pool and waits for it. False: refused, it has not run.
Connection::Task<bool> Connection::on_pool(WorkerPool::Job job, bool must) {
    job_done_ = false;
    auto whole = [self = shared_from_this(), work = std::move(job)]() mutable {
        work();
        Core& core = self->core_;
        // The connection must not die on a thread of the pool: it goes home with the message.
        asio::post(core.io, [home = std::move(self)] {
            home->job_done_ = true;
            home->event_.cancel();
        });
    };
    if (!core_.pool.submit(std::move(whole), must)) {
        co_return false;
    }
    while (!job_done_) {
        event_.expires_at(std::chrono::steady_clock::time_point::max());
        [[maybe_unused]] const auto [error] = co_await event_.async_wait(as_value);
    }
    co_return true;
}

Connection::Task<void> Connection::run_handler(Exchange& exchange) {
    cancel_.emplace();
    auto work = [this, &exchange, ctx = cancel_->context()] {
        try {
            exchange.response = exchange.route->kind == RouteKind::stream
                                    ? exchange.route->stream(exchange.request, stream_, ctx)
                                    : exchange.route->handler(exchange.request, ctx);
        } catch (const std::exception& error) {
            core_.report("handler of " + exchange.route->pattern + ": " + error.what());
            exchange.response =
                problem(500, "internal", "the server made a mistake", "its log says more");
        }
    };
    watch();
    const bool taken = co_await on_pool(std::move(work), false);
    unwatch();
    cancel_.reset();
    if (!taken) {
        exchange.response =
            problem(503, "unavailable", "the server is busy", "try again in a second");
        exchange.response.headers.emplace_back("retry-after", "1");
    }
}

Connection::Task<void> Connection::run_stream(Exchange& exchange) {
    stream_ = std::make_shared<EventStream>(core_.options.stream_bytes);
    stream_->attach([&core = core_, weak = weak_from_this()] {
        asio::post(core.io, [weak] {
            if (const auto self = weak.lock()) {
                self->event_.cancel();
            }
        });
    });
    co_await run_handler(exchange);
    exchange.keep = false;
    if (exchange.response.status != 200 || gone_) {
        stream_->detach();
        [[maybe_unused]] const bool again = co_await answer(exchange);
        co_return;
    }
    auto& headers = exchange.response.headers;
    headers.emplace_back("content-type", "text/event-stream");
    headers.emplace_back("cache-control", "no-store");
    headers.emplace_back("x-accel-buffering", "no");
    bool alive = co_await write_text(render_head(exchange.response, std::nullopt, false));
    watch();
    if (core_.stopping) {
        stream_->close();
    }
    while (alive && !gone_) {
        const bool last = stream_->closed();
        std::string batch = stream_->take();
        if (batch.empty() && last) {
            break;
        }
        if (batch.empty()) {
            event_.expires_after(core_.options.comment_interval);
            const auto [error] = co_await event_.async_wait(as_value);
            batch = error ? "" : ":\n\n";
        }
        if (!batch.empty()) {
            alive = co_await write_text(std::move(batch));
        }
    }
    unwatch();
    stream_->detach();
}

// Writes the response; true when the connection may serve another request.
Connection::Task<bool> Connection::answer(Exchange& exchange) {
    exchange.remove_upload();
    if (gone_) {
        co_return false;
    }
    const bool keep = exchange.keep && !closing_ && !core_.stopping;
    std::string text = render_head(exchange.response, exchange.response.body.size(), keep);
    if (exchange.request.method != "HEAD") {
        text += exchange.response.body;
    }
    const bool written = co_await write_text(std::move(text));
    if (written && !keep) {
        co_await linger();
    }
    co_return written&& keep;
}

Connection::Task<bool> Connection::write_text(std::string text) {
    arm(core_.options.write_timeout);
    const auto [error, size] = co_await asio::async_write(socket_, asio::buffer(text), as_value);
    disarm();
    co_return !error;
}

// A close with unread data in the socket would take the answer away from the client that is
// still sending: read on for a moment.
Connection::Task<void> Connection::linger() {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    arm(linger_timeout);
    idle_ = true;
    std::string waste(buffer_bytes, '\0');
    for (std::size_t total = 0; total < linger_bytes && !core_.stopping;) {
        const auto [error, size] = co_await socket_.async_read_some(asio::buffer(waste), as_value);
        if (error) {
            break;
        }
        total += size;
    }
}

}    // namespace seatrial::http
