// Text as a part of a URL.
#pragma once

#include <string>
#include <string_view>

namespace seatrial::net {

// RFC 3986, with upper-case digits: all but letters, digits and "-_.~" is escaped.
std::string escape_url(std::string_view text, bool keep_slash = false);

}    // namespace seatrial::net
