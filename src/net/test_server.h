// A server for the tests of net/: runs a script on each bare connection, so that it can
// misbehave. Ends with its scope.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::net {

class TestServer {
public:
    using Script = std::function<void(int fd, int number, const Context& ctx)>;

    TestServer(int family, Script script) : script_(std::move(script)) {
        fd_ = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_addr = in6addr_loopback;
        const void* address = family == AF_INET ? static_cast<const void*>(&v4) : &v6;
        bind_and_run(address, family == AF_INET ? sizeof v4 : sizeof v6);
        sockaddr_in6 bound{};    // the port stands at the same place in both
        socklen_t size = sizeof bound;
        ::getsockname(fd_.get(), static_cast<sockaddr*>(static_cast<void*>(&bound)), &size);
        port_ = ntohs(bound.sin6_port);
    }
    TestServer(const std::filesystem::path& path, Script script) : script_(std::move(script)) {
        fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.native().size());
        bind_and_run(&address, sizeof address);
    }
    ~TestServer() {
        end_.cancel();
        acceptor_.join();
        for (auto& thread : threads_) {
            thread.join();
        }
    }
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    std::uint16_t port() const { return port_; }
    std::string url(const std::string& path = "/") const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }

    // Up to and with `mark`, or what came before the end.
    static std::string read_until(int fd, std::string_view mark, const Context& ctx) {
        std::string text;
        char byte = 0;
        while (!text.ends_with(mark) && wait_fd(fd, POLLIN, ctx) && ::recv(fd, &byte, 1, 0) == 1) {
            text += byte;
        }
        return text;
    }
    static void send(int fd, std::string_view text) {
        while (!text.empty()) {
            const auto done = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
            if (done <= 0) {
                return;
            }
            text.remove_prefix(static_cast<std::size_t>(done));
        }
    }
    static std::string answer(const std::string& body, const std::string& status = "200 OK") {
        return "HTTP/1.1 " + status + "\r\ncontent-length: " + std::to_string(body.size()) +
               "\r\nX-Test: Yes\r\n\r\n" + body;
    }

private:
    void bind_and_run(const void* address, socklen_t size) {
        check(::bind(fd_.get(), static_cast<const sockaddr*>(address), size) == 0, "bind");
        check(::listen(fd_.get(), 64) == 0, "listen");
        acceptor_ = std::thread([this] { accept_all(); });
    }
    void accept_all() {
        const Context ctx = end_.context();
        for (int number = 0; wait_fd(fd_.get(), POLLIN, ctx); ++number) {
            const int peer = ::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            if (peer < 0) {
                continue;
            }
            threads_.emplace_back([this, peer, number, ctx] {
                const Fd owned(peer);
                script_(peer, number, ctx);
            });
        }
    }
    Script script_;
    Fd fd_;
    std::uint16_t port_ = 0;
    CancelSource end_;
    std::thread acceptor_;
    std::vector<std::thread> threads_;
};

}    // namespace seatrial::net
