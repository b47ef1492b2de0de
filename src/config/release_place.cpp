#include "config/release_place.h"

#include "base/text.h"
#include "config/values.h"

namespace seatrial::config {

std::optional<CanaryStep> parse_canary_step(std::string_view text) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || space < 2 || text[space - 1] != '%') {
        return std::nullopt;
    }
    std::string_view share = text.substr(0, space - 1);
    int tenths = 0;
    if (const std::size_t point = share.find('.'); point != std::string_view::npos) {
        const auto digit = parse_integer(share.substr(point + 1));
        if (share.size() != point + 2 || !digit || *digit < 0) {
            return std::nullopt;
        }
        tenths = static_cast<int>(*digit);
        share = share.substr(0, point);
    }
    const auto whole = parse_integer(share);
    const auto hold = parse_duration(trim(text.substr(space)));
    if (!whole || *whole < 0 || *whole > 100 || !hold) {
        return std::nullopt;
    }
    const int per_mille = static_cast<int>(*whole) * 10 + tenths;
    if (per_mille < 1 || per_mille > 1000) {
        return std::nullopt;
    }
    return CanaryStep{per_mille, *hold};
}

std::optional<ListenAddress> parse_listen(std::string_view text) {
    ListenAddress out;
    if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        out.address = text.substr(0, colon);
        text = text.substr(colon + 1);
        if (!is_host(out.address)) {
            return std::nullopt;
        }
    }
    const auto port = parse_integer(text);
    if (!port || *port < 1 || *port > 65535) {
        return std::nullopt;
    }
    out.port = static_cast<int>(*port);
    return out;
}

}    // namespace seatrial::config
