#include "resource/mount_table.h"

#include "base/file.h"
#include "base/text.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t table_limit = 64 << 20;

// Blank, tab, newline and backslash come as \ooo.
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 3 >= text.size()) {
            out += text[i];
            continue;
        }
        int value = 0;
        for (const char digit : text.substr(i + 1, 3)) {
            value = value * 8 + (digit - '0');
        }
        out += static_cast<char>(value);
        i += 3;
    }
    return out;
}

}    // namespace

std::vector<MountPoint> parse_mountinfo(std::string_view text) {
    std::vector<MountPoint> points;
    for (const auto line : split(text, '\n')) {
        // "id parent major:minor root PATH options [optional ...] - TYPE source options"
        const auto words = split(line, ' ');
        for (std::size_t i = 6; i + 1 < words.size(); ++i) {
            if (words[i] == "-") {
                points.push_back({unescape(words[4]), std::string(words[i + 1])});
                break;
            }
        }
    }
    return points;
}

Result<std::vector<MountPoint>> mounted() {
    TRY_ASSIGN(const auto text, read_file("/proc/self/mountinfo", table_limit));
    return parse_mountinfo(text);
}

}    // namespace seatrial::resource
