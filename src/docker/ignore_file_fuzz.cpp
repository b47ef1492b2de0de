// A .dockerignore and a path, a NUL between them: reading ends, and a fault has its line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "docker/ignore_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto end = input.find('\0');
    const auto path = end == std::string_view::npos ? "a/b.c" : input.substr(end + 1);
    if (path.size() > 4096) {
        return 0;
    }
    const auto ignores = seatrial::docker::parse_ignore_file(input.substr(0, end));
    if (ignores) {
        (*ignores)(path);
    } else {
        seatrial::check(ignores.error().message.starts_with("line "), "with its line");
    }
    return 0;
}
