// Landlock, by raw system calls (the C library has none, and the kernel headers here are older
// than the kernels it must work on): a process keeps reading, but writes only where told.
#pragma once

#include <vector>

#include "base/file.h"

namespace seatrial::process {

// 0 when the kernel offers none, or only ABI 1, which would forbid every move of a file between
// two folders and so breaks git and package managers.
int landlock_abi();

// A ruleset that allows writing below `writable` (files or folders, opened with O_PATH) and, when
// `tcp_bind` is not empty and the kernel can, binding to these ports only. From ABI 6 also no
// signals and no abstract sockets to processes outside.
Result<Fd> make_landlock(const std::vector<Fd>& writable, const std::vector<int>& tcp_bind);
// For the calling thread and all it starts; needs no_new_privs. For use after fork: one call.
bool enter_landlock(int ruleset);

}    // namespace seatrial::process
