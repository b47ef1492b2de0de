// What is wrong with a file: every fault at once, each with its line and remedy.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace seatrial::config {

// One fault, ready to print as "file:line: key: message (remedy)".
struct Fault {
    std::string file;
    int line = 0;       // 1-based; 0 when it has none
    std::string key;    // "components.web.port"
    std::string message;
    std::string remedy;
    bool warning = false;
    bool operator==(const Fault&) const = default;
};
std::string render_fault(const Fault& fault);
// All faults in one Error (Code::invalid), a line each.
Error faults_to_error(const std::vector<Fault>& faults);

// What a whole file gave: the values that could be read and every fault found.
template <class T>
struct Parsed {
    T value;
    std::vector<Fault> faults;
    bool ok() const {
        for (const auto& fault : faults) {
            if (!fault.warning) {
                return false;
            }
        }
        return true;
    }
};

}    // namespace seatrial::config
