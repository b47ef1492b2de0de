// What answers at Prometheus' place may be anything.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checks/prometheus.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    (void)seatrial::checks::parse_prometheus({reinterpret_cast<const char*>(data), size});
    return 0;
}
