// What runs in an app's own container to speak to its queues, with the app's own libraries.
#pragma once

#include <string_view>

namespace seatrial::release {

// For `python3 -c`; its arguments are a word and a JSON object, see queues.cpp. Ends with 0, or
// with a reason on its standard error in which no URL is.
extern const std::string_view queue_program;

}    // namespace seatrial::release
