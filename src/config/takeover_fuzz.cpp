// Whatever the bytes, a Compose file or an nginx.conf ends in values or in what was left out.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "config/compose.h"
#include "config/nginx.h"

namespace config = seatrial::config;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    constexpr std::size_t most = 100;
    if (data[0] % 2 == 0) {
        const auto compose = config::read_compose(text, "f");
        seatrial::check(compose.services.size() <= most, "services are capped");
        seatrial::check(compose.left_out.size() <= most, "reports are capped");
        for (const auto& service : compose.services) {
            for (const auto& port : service.ports) {
                seatrial::check(port.container > 0 && port.container <= 65535, "a port");
            }
        }
        return 0;
    }
    const auto nginx = config::read_nginx(text);
    seatrial::check(nginx.left_out.size() <= most, "reports are capped");
    seatrial::check(nginx.fault.empty() || nginx.servers.empty(), "nothing half-read");
    return 0;
}
