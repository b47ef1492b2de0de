// SQLSTATEs as our errors; inside sql/ only.
#pragma once

#include <string_view>

#include "base/result.h"

namespace seatrial::sql {

// The meaning of an SQLSTATE to a caller: who may retry.
Code code_of_sqlstate(std::string_view state);
// Error.mark is "sqlstate:<state>".
tl::unexpected<Error> fail_sqlstate(std::string_view state, std::string message);
// The five characters that a verbose connection error carries ("FATAL:  28P01: ..."), else "".
std::string_view find_sqlstate(std::string_view verbose_message);

}    // namespace seatrial::sql
