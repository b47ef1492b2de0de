#include "net/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/file.h"

namespace seatrial::net {
namespace {

constexpr std::size_t head_limit = 16 << 10;
constexpr std::size_t rest_limit = 64 << 10;
constexpr std::chrono::milliseconds rest_timeout{20};

Result<Fd> connect_socket(int family, const sockaddr* address, socklen_t size, std::uint16_t port,
                          const Context& ctx) {
    Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        return errno == EAFNOSUPPORT ? fail(Code::unavailable, "no such address family")
                                     : fail_errno("socket", errno);
    }
    if (::connect(fd.get(), address, size) == 0) {
        return fd;
    }
    if (errno != EINPROGRESS) {
        return fail(Code::unavailable, "nothing listens on port " + std::to_string(port));
    }
    TRY(wait_fd(fd.get(), POLLOUT, ctx));
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
        return fail(Code::unavailable, "nothing listens on port " + std::to_string(port));
    }
    return fd;
}

Result<Fd> connect_to(int family, std::uint16_t port, const Context& ctx) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    const void* address = family == AF_INET ? static_cast<const void*>(&v4) : &v6;
    const socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
    return connect_socket(family, static_cast<const sockaddr*>(address), size, port, ctx);
}

Result<Fd> connect_local(std::uint16_t port, const Context& ctx) {
    auto fd = connect_to(AF_INET, port, ctx);
    if (!fd && fd.error().code == Code::unavailable) {
        return connect_to(AF_INET6, port, ctx);
    }
    return fd;
}

Status send_all(int fd, std::string_view text, const Context& ctx) {
    while (!text.empty()) {
        const auto done = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (done < 0 && errno == EAGAIN) {
            TRY(wait_fd(fd, POLLOUT, ctx));
        } else if (done < 0 && errno != EINTR) {
            return fail(Code::unavailable, "the connection broke");
        } else if (done > 0) {
            text.remove_prefix(static_cast<std::size_t>(done));
        }
    }
    return {};
}

// Adds what comes to `text`; false at the end.
Result<bool> read_some(int fd, std::string& text, const Context& ctx) {
    char chunk[4096];
    while (true) {
        const auto got = ::recv(fd, chunk, sizeof chunk, 0);
        if (got > 0) {
            text.append(chunk, static_cast<std::size_t>(got));
            return true;
        }
        if (got == 0) {
            return false;
        }
        if (errno == EAGAIN) {
            TRY(wait_fd(fd, POLLIN, ctx));
        } else if (errno != EINTR) {
            return fail(Code::unavailable, "the connection broke");
        }
    }
}

// Of a whole status line; 0 when it is none.
int parse_status(std::string_view line) {
    int status = 0;
    if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') {
        return 0;
    }
    const auto digits = line.substr(9, 3);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), status);
    const bool whole = error == std::errc{} && end == digits.data() + digits.size();
    return whole && status >= 100 ? status : 0;
}

// Takes interim answers (1xx) off the front. 0: not all there yet.
Result<int> final_status(std::string& text) {
    while (true) {
        const auto end = text.find("\r\n");
        if (end == std::string::npos) {
            const std::string_view start = "HTTP/1.";
            const bool fits =
                std::string_view(text).substr(0, start.size()) == start.substr(0, text.size());
            return fits ? Result<int>(0) : fail(Code::failed, "the answer is not HTTP");
        }
        const int status = parse_status(std::string_view(text).substr(0, end));
        if (status == 0) {
            return fail(Code::failed, "the answer is not HTTP");
        }
        if (status >= 200 || status == 101) {
            return status;
        }
        const auto next = text.find("\r\n\r\n");
        if (next == std::string::npos) {
            return 0;
        }
        text.erase(0, next + 4);
    }
}

// Lets the app finish its answer, so that its log does not fill with broken connections.
void drain(int fd, const Context& ctx) {
    const Context soon = ctx.with_timeout(rest_timeout);
    std::string rest;
    while (rest.size() < rest_limit) {
        const auto more = read_some(fd, rest, soon);
        if (!more || !*more) {
            return;
        }
    }
}

}    // namespace

Result<int> http_get_status(std::uint16_t port, const std::string& path, const Context& ctx) {
    if (!path.starts_with('/')) {
        return fail(Code::invalid, "a health path starts with a slash");
    }
    for (const char byte : path) {
        const auto code = static_cast<unsigned char>(byte);
        if (code <= 0x20 || code == 0x7f) {
            return fail(Code::invalid, "blank or control character in a health path");
        }
    }
    TRY_ASSIGN(const Fd fd, connect_local(port, ctx));
    TRY(send_all(fd.get(),
                 "GET " + path + " HTTP/1.1\r\nhost: localhost:" + std::to_string(port) +
                     "\r\nuser-agent: seatrial-health\r\naccept: */*\r\nconnection: close\r\n\r\n",
                 ctx));
    std::string text;
    while (text.size() < head_limit) {
        TRY_ASSIGN(const bool more, read_some(fd.get(), text, ctx));
        TRY_ASSIGN(const int status, final_status(text));
        if (status != 0) {
            drain(fd.get(), ctx);
            return status;
        }
        if (!more) {
            return fail(Code::unavailable, "the connection was closed without an answer");
        }
    }
    return fail(Code::failed, "the answer is not HTTP");
}

Status tcp_accepts(std::uint16_t port, const Context& ctx) {
    TRY(connect_local(port, ctx));
    return {};
}

Status tcp_accepts_at(const std::string& address, std::uint16_t port, const Context& ctx) {
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(port);
    if (::inet_pton(AF_INET, address.c_str(), &there.sin_addr) != 1) {
        return fail(Code::invalid, "no IPv4 address: " + address);
    }
    const void* any = &there;
    TRY(connect_socket(AF_INET, static_cast<const sockaddr*>(any), sizeof there, port, ctx));
    return {};
}

}    // namespace seatrial::net
