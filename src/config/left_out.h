// What a take-over cannot carry: said to people, line by line.
#pragma once

#include <string>

namespace seatrial::config {

struct LeftOut {
    int line = 0;
    std::string what;    // "services.web.privileged"
    std::string why;     // what to do about it; "" = nothing is known

    std::string text(const std::string& file) const {
        return file + ":" + std::to_string(line) + ": " + what + " is not carried over" +
               (why.empty() ? "" : ": " + why);
    }
};

}    // namespace seatrial::config
