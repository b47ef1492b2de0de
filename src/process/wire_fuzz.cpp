// The parsers that stand between a daemon that was taken over and root.
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "process/run_files.h"
#include "process/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace seatrial::process;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    // What is taken must be exactly what its own form says: nothing is read twice or skipped.
    if (const auto run = decode_run(bytes); run) {
        seatrial::check(encode(*run) == bytes, "run");
    }
    if (const auto kill = decode_kill(bytes); kill) {
        seatrial::check(encode(*kill) == bytes, "kill");
    }
    for (const std::size_t texts : {0U, 1U, 4U}) {
        if (const auto plain = decode_plain(bytes, texts); plain) {
            seatrial::check(encode(*plain) == bytes, "plain");
        }
    }
    [[maybe_unused]] const auto reply = decode_reply(bytes);
    [[maybe_unused]] const auto record = parse_record(bytes);
    [[maybe_unused]] const auto exit = parse_exit(bytes);
    return 0;
}
