#include "checks/form.h"

namespace seatrial::checks {
namespace {

// As browsers write names: nothing in them ends the quotes or the line.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        out += c == '"' ? "%22" : c == '\r' ? "%0D" : c == '\n' ? "%0A" : std::string(1, c);
    }
    return out + "\"";
}

}    // namespace

Form make_form(std::string_view field, std::string_view path, std::string_view type,
               std::string_view content) {
    std::string boundary = "seatrial-form";
    for (int i = 1; content.find(boundary) != std::string_view::npos; ++i) {
        boundary = "seatrial-form-" + std::to_string(i);
    }
    Form out;
    out.type = "multipart/form-data; boundary=" + boundary;
    out.body = "--" + boundary + "\r\nContent-Disposition: form-data; name=" + quoted(field) +
               "; filename=" + quoted(path.substr(path.rfind('/') + 1)) + "\r\nContent-Type: ";
    out.body += type;
    out.body += "\r\n\r\n";
    out.body += content;
    out.body += "\r\n--" + boundary + "--\r\n";
    return out;
}

}    // namespace seatrial::checks
