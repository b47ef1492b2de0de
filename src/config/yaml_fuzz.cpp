// Whatever the bytes, reading a configuration ends, within its bounds, in values or faults.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/text.h"
#include "config/config.h"
#include "config/yaml.h"

namespace config = seatrial::config;

namespace {

std::size_t count(const config::Node& node) {
    std::size_t out = 1;
    for (const auto& child : node.children) {
        out += count(child);
    }
    return out;
}

template <class T>
void check_parsed(const config::Parsed<T>& parsed) {
    constexpr std::size_t most = 1000;
    seatrial::check(parsed.faults.size() < most, "faults are capped");
    for (const auto& fault : parsed.faults) {
        seatrial::check(!fault.message.empty(), "a fault says what is wrong");
        seatrial::check(seatrial::is_valid_utf8(config::render_fault(fault)), "faults are text");
    }
}

}    // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto document = config::parse_yaml(text, "f");
    seatrial::check(count(document.root) <= config::yaml_node_limit + 1, "nodes are capped");
    seatrial::check(document.complete || document.root.children.empty(), "nothing half-read");
    check_parsed(config::parse_app(text, "f", false));
    check_parsed(config::parse_app(text, "f", true));
    check_parsed(config::parse_server(text, "f", false));
    return 0;
}
