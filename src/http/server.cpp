#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <thread>

#include "http/connection.h"

namespace seatrial::http {

namespace asio = boost::asio;
namespace {

constexpr std::string_view busy_answer =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
    "connection: close\r\n\r\n";
constexpr std::chrono::milliseconds accept_pause{200};

// Accepts by hand on a descriptor that Asio watches: the peer's socket is made with the flags
// we want, and a full descriptor table can be waited out.
struct Acceptor {
    using Handle =
        asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;
    Acceptor(Core& core, int fd, int address_family)
        : socket(core.io, asio::generic::stream_protocol(address_family, IPPROTO_IP), fd),
          pause(core.io),
          family(address_family) {}
    Handle socket;
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>,
                               asio::io_context::executor_type>
        pause;
    int family;
};

int family_of(int fd) {
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family;
}

// Files of uploads that a killed server left.
void remove_left_uploads(const std::filesystem::path& folder) {
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        if (at->path().filename().native().starts_with("upload-")) {
            std::error_code ignored;
            std::filesystem::remove(at->path(), ignored);
        }
    }
}

}    // namespace

Peer peer_of(int socket) {
    Peer peer;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
    if (::getpeername(socket, generic, &size) != 0) {
        return peer;
    }
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_UNIX) {
        ucred who{};
        socklen_t length = sizeof who;
        peer.address = "unix";
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0) {
            peer.local = true;
            peer.uid = who.uid;
            peer.gid = who.gid;
            peer.pid = who.pid;
        }
    } else if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        peer.address = std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
    } else if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        peer.address = "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    return peer;
}

struct Server::Impl {
    Impl(ServerOptions options, Router router)
        : core(std::move(options), std::move(router)), guard(core.io.get_executor()) {}

    void listen(const std::shared_ptr<Acceptor>& acceptor);
    void accept_all(const std::shared_ptr<Acceptor>& acceptor);
    void admit(int fd, int family);
    void begin_stop();
    void tell_when_empty() const;

    Core core;
    asio::executor_work_guard<asio::io_context::executor_type> guard;
    std::vector<std::shared_ptr<Acceptor>> acceptors;
    Fd empty{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};    // readable: stopping, none connected
    std::thread thread;
};

void Server::Impl::listen(const std::shared_ptr<Acceptor>& acceptor) {
    acceptor->socket.async_wait(Acceptor::Handle::wait_read,
                                [this, acceptor](const boost::system::error_code& error) {
                                    if (!error && !core.stopping) {
                                        accept_all(acceptor);
                                    }
                                });
}

void Server::Impl::accept_all(const std::shared_ptr<Acceptor>& acceptor) {
    const int listener = acceptor->socket.native_handle();
    while (true) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(fd, acceptor->family);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) {
            continue;
        }
        if (errno == EAGAIN) {
            listen(acceptor);
            return;
        }
        break;
    }
    // Most likely no descriptor is free: the listener stays readable, so wait it out.
    core.report(std::string("accept: ") + std::strerror(errno));
    acceptor->pause.expires_after(accept_pause);
    acceptor->pause.async_wait([this, acceptor](const boost::system::error_code& error) {
        if (!error && !core.stopping) {
            accept_all(acceptor);
        }
    });
}

void Server::Impl::admit(int fd, int family) {
    if (core.connections.size() >= core.options.max_connections) {
        [[maybe_unused]] const auto sent =
            ::send(fd, busy_answer.data(), busy_answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        ::close(fd);
        return;
    }
    if (family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    try {
        Fd owned(fd);
        Connection::Socket socket(core.io, asio::generic::stream_protocol(family, IPPROTO_IP), fd);
        owned.release();
        std::make_shared<Connection>(core, std::move(socket))->start();
    } catch (const std::exception& error) {
        core.report(std::string("connection: ") + error.what());
    }
}

void Server::Impl::begin_stop() {
    core.stopping = true;
    for (const auto& acceptor : acceptors) {
        boost::system::error_code ignored;
        acceptor->pause.cancel();
        acceptor->socket.close(ignored);
    }
    acceptors.clear();
    const auto connections = core.connections;
    for (Connection* connection : connections) {
        connection->stop();
    }
    tell_when_empty();
}

void Server::Impl::tell_when_empty() const {
    if (core.stopping && core.connections.empty()) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(empty.get(), &one, sizeof one);
    }
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
    CancelSource at_once;
    at_once.cancel();
    [[maybe_unused]] const auto stopped = stop(at_once.context());
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Router router) {
    if (!options.upload_folder.empty()) {
        remove_left_uploads(options.upload_folder);
    }
    std::vector<Fd> listeners = std::move(options.listeners);
    options.listeners.clear();
    auto impl = std::make_unique<Impl>(std::move(options), std::move(router));
    if (!impl->empty) {
        return fail_errno("eventfd", errno);
    }
    Impl* raw = impl.get();
    impl->core.on_connection_gone = [raw] { raw->tell_when_empty(); };
    try {
        for (auto& listener : listeners) {
            const int family = family_of(listener.get());
            auto acceptor = std::make_shared<Acceptor>(impl->core, listener.get(), family);
            listener.release();
            acceptor->socket.non_blocking(true);
            impl->acceptors.push_back(acceptor);
            impl->listen(acceptor);
        }
        impl->thread = std::thread([raw] {
            ::pthread_setname_np(::pthread_self(), "http-io");
            raw->core.io.run();
        });
    } catch (const std::exception& error) {
        return fail(Code::unavailable, std::string("cannot start the server: ") + error.what());
    }
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Status Server::stop(const Context& ctx) {
    if (!impl_->thread.joinable()) {
        return {};
    }
    Impl* raw = impl_.get();
    asio::post(raw->core.io, [raw] { raw->begin_stop(); });
    const auto emptied = wait_fd(raw->empty.get(), POLLIN, ctx);
    if (!emptied) {
        asio::post(raw->core.io, [raw] {
            const auto connections = raw->core.connections;
            for (Connection* connection : connections) {
                connection->abort();
            }
        });
        [[maybe_unused]] const auto waited = wait_fd(raw->empty.get(), POLLIN, Context());
    }
    raw->guard.reset();
    raw->thread.join();
    raw->core.pool.stop();
    return emptied ? Status{} : Status(tl::unexpected(emptied.error()));
}

Server::Stats Server::stats() const {
    return {impl_->core.connection_count, impl_->core.pool.threads()};
}

}    // namespace seatrial::http
