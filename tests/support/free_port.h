// A TCP port of 127.0.0.1 that nobody has at the moment.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/file.h"

namespace seatrial::test {

inline int free_port() {
    const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check(fd.get() >= 0, "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = static_cast<sockaddr*>(static_cast<void*>(&address));
    check(::bind(fd.get(), any, size) == 0 && ::getsockname(fd.get(), any, &size) == 0,
          "a free port");
    return ntohs(address.sin_port);
}

}    // namespace seatrial::test
