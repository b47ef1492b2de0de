// One file as a browser's form uploads it (RFC 7578).
#pragma once

#include <string>
#include <string_view>

namespace seatrial::checks {

struct Form {
    std::string type;    // the content type, with the boundary
    std::string body;
};

// `path`: its last part is the file's name. `type` is the file's.
Form make_form(std::string_view field, std::string_view path, std::string_view type,
               std::string_view content);

}    // namespace seatrial::checks
