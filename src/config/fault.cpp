#include "base/text.h"
#include "config/config.h"

namespace seatrial::config {

std::string render_fault(const Fault& fault) {
    std::string out = fault.file;
    if (fault.line > 0) {
        out += ":" + std::to_string(fault.line);
    }
    if (!out.empty()) {
        out += ": ";
    }
    out += fault.warning ? "warning: " : "";
    out += fault.key.empty() ? "" : fault.key + ": ";
    out += fault.message;
    if (!fault.remedy.empty()) {
        out += " (" + fault.remedy + ")";
    }
    return printable(out);
}

Error faults_to_error(const std::vector<Fault>& faults) {
    Error error{Code::invalid, "", "", "", nullptr};
    for (const auto& fault : faults) {
        if (fault.warning) {
            continue;
        }
        if (error.message.empty()) {
            error.field = fault.file + ":" + std::to_string(fault.line) + ":" + fault.key;
        }
        error.message += (error.message.empty() ? "" : "\n") + render_fault(fault);
    }
    return error;
}

std::vector<std::string> UserCommand::to_argv() const {
    if (!argv.empty()) {
        return argv;
    }
    return {"/bin/sh", "-c", text};
}

}    // namespace seatrial::config
