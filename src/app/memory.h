// The allocator of a process that is idle for most of its life.
#pragma once

namespace seatrial::app {

// Free memory goes back to the system at once, from every thread's arena. By default glibc raises
// its thresholds with the first large block that is freed (mallopt(3), M_MMAP_THRESHOLD), and then
// each of sixteen arenas keeps a megabyte for good. Call before the first thread.
void return_free_memory();

}    // namespace seatrial::app
