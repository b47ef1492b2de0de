// Who listens on a TCP port.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"

namespace seatrial::process {

struct Listener {
    std::uint16_t port = 0;
    uid_t uid = 0;    // of the socket (sock_diag)
    std::uint64_t inode = 0;
};

// All listening TCP sockets, v4 and v6 (netlink sock_diag). Thread: any.
Result<std::vector<Listener>> tcp_listeners();
// The listeners of one port; empty when nobody listens.
Result<std::vector<Listener>> listeners_of(std::uint16_t port);
// True when one of `pids` holds the socket `inode` (scan of /proc/PID/fd; without root).
bool holds_socket(const std::vector<pid_t>& pids, std::uint64_t inode);
// "node (pid 812, uid 1000)" as far as /proc lets us see; "" when unknown.
std::string describe_owner(const Listener& listener);
// Nobody listens on it and we can bind it on 127.0.0.1 and ::1.
Result<bool> port_free(std::uint16_t port);

}    // namespace seatrial::process
