#include "app/memory.h"

#include <malloc.h>

namespace seatrial::app {

void return_free_memory() {
    // Set, they stay as they are. 128 KiB are the defaults before they move.
    ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
    ::mallopt(M_TRIM_THRESHOLD, 64 << 10);
    ::mallopt(M_TOP_PAD, 16 << 10);
}

}    // namespace seatrial::app
