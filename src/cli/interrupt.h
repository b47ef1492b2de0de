// Ctrl-C as a cancelled Context: the first one asks, the second one ends the program (130).
#pragma once

#include "base/context.h"

namespace seatrial::cli {

// One per program, made before other threads. Thread: any.
class Interrupt {
public:
    Interrupt();
    Context context() const { return source_.context(); }

private:
    CancelSource source_;
};

}    // namespace seatrial::cli
