// Whatever answers, its variables are texts or it is refused, and no part of it is told.
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "secrets/aws/aws.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto* text = static_cast<const char*>(static_cast<const void*>(data));
    const auto read = seatrial::secrets::aws::parse_answer({text, size}, "");
    if (!read) {
        seatrial::check(read.error().code == seatrial::Code::invalid, "an answer that is no good");
        seatrial::check(!read.error().message.empty(), "it says why");
    }
    return 0;
}
