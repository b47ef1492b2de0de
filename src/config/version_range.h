// Versions and ranges of them, as npm writes them. A pre-release counts as the version that it
// leads to: 2.0.0-rc.1 is 2.0.0.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial::config {

using Version = std::array<std::int64_t, 3>;
// "1.4.0-rc.1+5", "v1.4": parts that are not there are 0.
std::optional<Version> parse_version(std::string_view text);

// ">=1.2 <2", "^1.4", "~1.4.2", "1.x", "1.4 || >=2.1", "*".
class VersionRange {
public:
    static std::optional<VersionRange> parse(std::string_view text);
    bool contains(const Version& version) const;

private:
    struct Span {
        Version from, to;    // `to` is not in it
    };
    std::vector<Span> spans_;    // one of them
};

// `release.compatibility`: component → another → the range of its versions beside which it works.
using Compatibility = std::map<std::string, std::map<std::string, std::string>>;

}    // namespace seatrial::config
