// Named places where tests make the program die, fail or wait. Armed only through the
// environment, read once at start:
//   SEATRIAL_FAILPOINTS="name=kill[@N],name=error[@N],name=pause[@N]"
//       N is the hit that counts (1 by default); `pause` waits until a line is appended
//       to the record file that says "resume name".
//   SEATRIAL_FAILPOINT_RECORD=FILE
//       every point that is passed appends "hit NAME PID", every one that acts "fired NAME PID",
//       before it acts: this is how the sweep finds all points and proves that each one fired.
#pragma once

#include <string_view>

#include "base/result.h"

namespace seatrial {

// True when the environment arms or records anything; the check costs one load.
bool failpoints_active();
// Passes the point `name`: returns the injected error (`unavailable`), or ok, or never.
Status failpoint(std::string_view name);
// The same, as `prefix.suffix`, built only when active.
Status failpoint(std::string_view prefix, std::string_view suffix);

}    // namespace seatrial
