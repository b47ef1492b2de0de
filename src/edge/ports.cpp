#include "edge/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "base/file.h"

namespace seatrial::edge {
namespace {

constexpr std::size_t table_limit = 16 << 20;
constexpr const char* taken = "another program listens there";

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

// "" is every address, of IPv4 as HAProxy has it.
std::optional<Address> address_of(const Listen& listen) {
    Address out;
    std::string text = listen.address;
    if (text.starts_with('[') && text.ends_with(']')) {
        text = text.substr(1, text.size() - 2);
    }
    auto* four = reinterpret_cast<sockaddr_in*>(&out.storage);
    auto* six = reinterpret_cast<sockaddr_in6*>(&out.storage);
    const auto port = htons(static_cast<std::uint16_t>(listen.port));
    if (text.empty() || ::inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = port;
        out.size = sizeof *four;
        return out;
    }
    if (::inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = port;
        out.size = sizeof *six;
        return out;
    }
    return std::nullopt;
}

// Of a port that we may not bind ourselves: a listener of another user, by the kernel's table.
bool others_listen(int port) {
    constexpr std::string_view listening = "0A";
    for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::istringstream lines(read_file(table, table_limit).value_or(""));
        std::string line;
        std::getline(lines, line);
        while (std::getline(lines, line)) {
            std::istringstream fields(line);
            std::string number, local, remote, state, queues, timer, retries;
            unsigned uid = 0;
            fields >> number >> local >> remote >> state >> queues >> timer >> retries >> uid;
            const auto colon = local.find(':');
            if (state == listening && colon != std::string::npos && uid != ::geteuid() &&
                std::strtol(local.c_str() + colon + 1, nullptr, 16) == port) {
                return true;
            }
        }
    }
    return false;
}

}    // namespace

std::string to_string(const Listen& listen) {
    return (listen.address.empty() ? "*" : listen.address) + ":" + std::to_string(listen.port);
}

std::optional<std::string> find_obstacle(const Listen& listen) {
    const auto address = address_of(listen);
    if (!address) {
        return std::nullopt;
    }
    const Fd descriptor(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (descriptor.get() < 0) {
        return std::nullopt;
    }
    // As HAProxy binds: those of the same user that do so, too, share the port.
    const int on = 1;
    ::setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (::bind(descriptor.get(), reinterpret_cast<const sockaddr*>(&address->storage),
               address->size) == 0) {
        return std::nullopt;
    }
    switch (errno) {
        case EADDRINUSE: return taken;
        case EADDRNOTAVAIL: return "this machine has no such address";
        case EACCES:
            return others_listen(listen.port) ? std::optional<std::string>(taken) : std::nullopt;
        default: return std::nullopt;
    }
}

Status check_obstacles(const std::vector<Listen>& listens) {
    std::string all;
    for (const auto& listen : listens) {
        if (const auto obstacle = find_obstacle(listen)) {
            all += (all.empty() ? "" : "; ") + to_string(listen) + ": " + *obstacle;
        }
    }
    if (all.empty()) {
        return {};
    }
    return fail(Code::conflict, "users could not reach it: " + all,
                "end the other program (`ss -ltnp` names it), or give the environment another "
                "port in release.listen");
}

}    // namespace seatrial::edge
