// Whatever a HAProxy answers, reading it ends in values or in an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "edge/runtime.h"

namespace edge = seatrial::edge;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)edge::complaint_of(text);
    (void)edge::parse_map(text);
    (void)edge::parse_servers(text);
    (void)edge::parse_stat(text);
    (void)edge::parse_table(text);
    (void)edge::parse_processes(text);
    (void)edge::sessions_in(text, "a");
    (void)edge::info_in(text, "Pid");
    return 0;
}
