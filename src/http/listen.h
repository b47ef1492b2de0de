// Listening sockets: made here, or inherited, and handed to a Server as descriptors.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/file.h"

namespace seatrial::http {

// A stream socket at `path` with exactly `mode`. A socket file that nobody answers is replaced;
// `conflict` when somebody does, or when something else than a socket is there; `invalid` when
// the path is too long for a socket (107 bytes).
Result<Fd> listen_unix(const std::filesystem::path& path, mode_t mode);

// `address` is a number ("127.0.0.1", "::1", "0.0.0.0"); port 0 lets the kernel choose.
// `conflict` when the port is in use: the caller can say by whom (process/listeners.h).
Result<Fd> listen_tcp(const std::string& address, std::uint16_t port);

// The port of a TCP listener.
Result<std::uint16_t> port_of(const Fd& listener);

}    // namespace seatrial::http
