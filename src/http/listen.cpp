#include "http/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace seatrial::http {
namespace {

constexpr int backlog = 512;
constexpr int stream_flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

// The C interface knows one address type for all families.
template <class Address>
const sockaddr* as_sockaddr(const Address& address) {
    return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

Result<sockaddr_un> unix_address(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& text = path.native();
    if (text.empty() || text.size() >= sizeof address.sun_path ||
        text.find('\0') != std::string::npos) {
        return fail(Code::invalid, "\"" + text + "\" cannot be the path of a socket",
                    "choose a data directory with a path under 90 bytes");
    }
    std::memcpy(address.sun_path, text.data(), text.size());
    return address;
}

// Ok when the file at `path` is a socket that nobody answers; it is gone then.
Status remove_stale(const std::filesystem::path& path, const sockaddr_un& address) {
    struct stat seen{};
    if (::lstat(path.c_str(), &seen) != 0) {
        return errno == ENOENT ? Status{} : fail_errno(path.native(), errno);
    }
    if (!S_ISSOCK(seen.st_mode)) {
        return fail(Code::conflict, path.native() + " exists and is not a socket");
    }
    const Fd probe(::socket(AF_UNIX, stream_flags, 0));
    if (!probe) {
        return fail_errno("socket", errno);
    }
    if (::connect(probe.get(), as_sockaddr(address), sizeof address) == 0 ||
        errno != ECONNREFUSED) {
        return fail(Code::conflict, "another program listens on " + path.native());
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("unlink " + path.native(), errno);
    }
    return {};
}

Status bind_tcp(int fd, const std::string& address, std::uint16_t port) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    int bound = -1;
    if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        bound = ::bind(fd, as_sockaddr(v4), sizeof v4);
    } else if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        bound = ::bind(fd, as_sockaddr(v6), sizeof v6);
    } else {
        return fail(Code::invalid, "\"" + address + "\" is no IP address");
    }
    const std::string where = address + " port " + std::to_string(port);
    if (bound != 0 && errno == EADDRINUSE) {
        return fail(Code::conflict, where + " is in use");
    }
    if (bound != 0 && errno == EACCES) {
        return fail(Code::refused, where + " needs privileges", "use a port above 1023");
    }
    return bound == 0 ? Status{} : fail_errno("bind " + where, errno);
}

}    // namespace

Result<Fd> listen_unix(const std::filesystem::path& path, mode_t mode) {
    TRY_ASSIGN(const auto address, unix_address(path));
    Fd fd(::socket(AF_UNIX, stream_flags, 0));
    if (!fd) {
        return fail_errno("socket", errno);
    }
    TRY(remove_stale(path, address));
    // The mode goes onto the socket first: at no moment may more people come in than shall.
    if (::fchmod(fd.get(), mode) != 0 ||
        ::bind(fd.get(), as_sockaddr(address), sizeof address) != 0) {
        if (errno == EADDRINUSE) {
            return fail(Code::conflict, "another program listens on " + path.native());
        }
        return fail_errno("bind " + path.native(), errno);
    }
    if (::chmod(path.c_str(), mode) != 0 || ::listen(fd.get(), backlog) != 0) {
        return fail_errno("listen on " + path.native(), errno);
    }
    return fd;
}

Result<Fd> listen_tcp(const std::string& address, std::uint16_t port) {
    const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
    Fd fd(::socket(family, stream_flags, 0));
    if (!fd) {
        return fail_errno("socket", errno);
    }
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) {
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    TRY(bind_tcp(fd.get(), address, port));
    if (::listen(fd.get(), backlog) != 0) {
        // With SO_REUSEADDR two may bind, but only one may listen.
        return errno == EADDRINUSE
                   ? fail(Code::conflict, address + " port " + std::to_string(port) + " is in use")
                   : fail_errno("listen", errno);
    }
    return fd;
}

Result<std::uint16_t> port_of(const Fd& listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
    if (::getsockname(listener.get(), generic, &size) != 0) {
        return fail_errno("getsockname", errno);
    }
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        return ntohs(v4.sin_port);
    }
    if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    return fail(Code::invalid, "not a TCP listener");
}

}    // namespace seatrial::http
