// What an app answers is anybody's text.
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "checks/checks.h"

using namespace seatrial;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto line = text.find('\n');
    const auto first = text.substr(0, line);
    const auto rest = line == std::string_view::npos ? "" : text.substr(line + 1);
    (void)checks::metric_sum(rest, first);
    const auto path = checks::fill_path(first, nlohmann::json::parse(rest, nullptr, false));
    seatrial::check(!path || first.find('{') != std::string_view::npos || *path == first,
                    "only what is named changes");
    return 0;
}
