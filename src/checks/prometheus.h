// One figure from Prometheus.
#pragma once

#include <string>

#include "base/context.h"

namespace seatrial::checks {

// The value of an instant query now: of a scalar, or of a vector's only series. The answer has 1 MB
// at most and comes within 3 s. Errors: `unavailable` (it does not answer), `not_found` (nothing is
// measured: no series, or NaN), `invalid` (the query, or its result), and the context's.
Result<double> ask_prometheus(const std::string& url, const std::string& query, const Context& ctx);

// Of its answer's body. Errors: as above.
Result<double> parse_prometheus(std::string_view body);

}    // namespace seatrial::checks
