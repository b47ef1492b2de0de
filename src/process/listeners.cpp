#include "process/listeners.h"

#include <dirent.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/text.h"
#include "process/proc.h"

namespace seatrial::process {
namespace {

Status request_listeners(const Fd& socket, std::uint8_t family) {
    struct {
        nlmsghdr header;
        inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = family;
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = 1U << TCP_LISTEN;
    if (::send(socket.get(), &message, sizeof message, 0) < 0) {
        return fail_errno("cannot ask the kernel for listening sockets", errno);
    }
    return {};
}

// True when `header` ends the dump.
Result<bool> take_message(const nlmsghdr& header, std::vector<Listener>& found) {
    if (header.nlmsg_type == NLMSG_DONE) {
        return true;
    }
    if (header.nlmsg_type == NLMSG_ERROR) {
        nlmsgerr error{};
        std::memcpy(&error, reinterpret_cast<const char*>(&header) + NLMSG_HDRLEN, sizeof error);
        return fail_errno("listing the listening sockets", -error.error);
    }
    inet_diag_msg socket{};
    std::memcpy(&socket, reinterpret_cast<const char*>(&header) + NLMSG_HDRLEN, sizeof socket);
    found.push_back({ntohs(socket.id.idiag_sport), socket.idiag_uid, socket.idiag_inode});
    return false;
}

Status collect(const Fd& socket, std::uint8_t family, std::vector<Listener>& found) {
    TRY(request_listeners(socket, family));
    alignas(nlmsghdr) char buffer[32768];
    while (true) {
        const ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail_errno("cannot read the listening sockets", n == 0 ? EPIPE : errno);
        }
        auto left = static_cast<std::size_t>(n);
        for (const char* at = buffer; left >= sizeof(nlmsghdr);) {
            nlmsghdr header{};
            std::memcpy(&header, at, sizeof header);
            if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) {
                return fail(Code::internal, "a netlink message is cut short");
            }
            TRY_ASSIGN(const bool done,
                       take_message(*reinterpret_cast<const nlmsghdr*>(at), found));
            if (done) {
                return {};
            }
            const auto step = std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), left);
            at += step;
            left -= step;
        }
    }
}

bool can_bind(int family, const sockaddr* address, socklen_t length, int& error) {
    const Fd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) {
        error = errno;
        return false;
    }
    // As servers do: remains of closed connections do not make a port busy.
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(socket.get(), address, length) == 0) {
        return true;
    }
    error = errno;
    return false;
}

}    // namespace

Result<std::vector<Listener>> tcp_listeners() {
    const Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!socket) {
        return fail_errno("cannot open a netlink socket", errno);
    }
    std::vector<Listener> found;
    TRY(collect(socket, AF_INET, found));
    TRY(collect(socket, AF_INET6, found));
    return found;
}

Result<std::vector<Listener>> listeners_of(std::uint16_t port) {
    TRY_ASSIGN(auto found, tcp_listeners());
    std::erase_if(found, [port](const Listener& each) { return each.port != port; });
    return found;
}

bool holds_socket(const std::vector<pid_t>& pids, std::uint64_t inode) {
    const std::string wanted = "socket:[" + std::to_string(inode) + "]";
    for (const pid_t pid : pids) {
        if (holds_file(pid, wanted)) {
            return true;
        }
    }
    return false;
}

std::string describe_owner(const Listener& listener) {
    if (listener.inode == 0) {
        return "";
    }
    for (const pid_t pid : all_pids()) {
        if (holds_socket({pid}, listener.inode)) {
            const auto name = read_file("/proc/" + std::to_string(pid) + "/comm", 256);
            return printable(trim(name ? *name : "?")) + " (pid " + std::to_string(pid) + ", uid " +
                   std::to_string(listener.uid) + ")";
        }
    }
    return "a process of uid " + std::to_string(listener.uid);
}

Result<bool> port_free(std::uint16_t port) {
    TRY_ASSIGN(const auto found, listeners_of(port));
    if (!found.empty()) {
        return false;
    }
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    int error = 0;
    if (can_bind(AF_INET, reinterpret_cast<const sockaddr*>(&v4), sizeof v4, error) &&
        (can_bind(AF_INET6, reinterpret_cast<const sockaddr*>(&v6), sizeof v6, error) ||
         error == EADDRNOTAVAIL || error == EAFNOSUPPORT)) {
        return true;
    }
    if (error == EADDRINUSE) {
        return false;
    }
    return fail_errno("cannot try port " + std::to_string(port), error);
}

}    // namespace seatrial::process
