// The system calls that a user's command may not make. A deny-list, because Node, Python and Go
// need a broad set; EPERM, because they then fall back or say what they miss.
#pragma once

#include <vector>

#include "base/file.h"

namespace seatrial::process {

// The filter as BPF in a sealed memory file, as `helper` takes it. `unavailable` where the
// kernel has no seccomp filters.
Result<Fd> make_seccomp_program();

}    // namespace seatrial::process
