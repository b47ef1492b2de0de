// The health check of a component on this host: cheap enough for every few milliseconds.
#pragma once

#include <cstdint>
#include <string>

#include "base/context.h"

namespace seatrial::net {

// Status of one GET at localhost:`port` (127.0.0.1, then ::1 when nothing listens there).
// Follows nothing, reads no body of worth. Errors: unavailable (nothing listens, connection
// closed without an answer), failed (the answer is not HTTP), invalid (path), and the context's.
// Thread: any.
Result<int> http_get_status(std::uint16_t port, const std::string& path, const Context& ctx);

// Ok when something accepts a connection at localhost:`port`; unavailable otherwise.
Status tcp_accepts(std::uint16_t port, const Context& ctx);
// The same at an IPv4 address ("172.18.0.2"); `invalid` for another text.
Status tcp_accepts_at(const std::string& address, std::uint16_t port, const Context& ctx);

}    // namespace seatrial::net
