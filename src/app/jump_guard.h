// Keeps a wall clock that jumped from ending previews: a lifetime is a duration, and a step of
// the clock is not time that passed.
#pragma once

#include "base/clock.h"

namespace seatrial::app {

// Compares the wall clock with one that cannot be set. Thread: its owner's.
class JumpGuard {
public:
    struct Verdict {
        bool hold = false;                     // nothing may expire now
        std::chrono::milliseconds shift{0};    // > 0: move what expires later by this much ...
        WallTime before{};                     // ... if it was there at this time
    };

    // `boot`: time since boot including suspend, in which a sleeping machine does not jump.
    JumpGuard(WallTime wall, std::chrono::milliseconds boot) : wall_(wall), boot_(boot) {}
    // To be called with both clocks whenever something may expire, at least every quarter of an
    // hour. A jump forward holds everything for ten minutes: most wrong clocks are set back by
    // then, and nothing happened. One that stays moves the ends of what lived before it. A jump
    // back only makes previews live until the time that was told.
    Verdict look(WallTime wall, std::chrono::milliseconds boot);
    bool holding() const { return jump_ > std::chrono::milliseconds(0); }

private:
    WallTime wall_;
    std::chrono::milliseconds boot_;
    std::chrono::milliseconds jump_{0};    // forward, not yet decided about
    WallTime before_{};
    std::chrono::milliseconds until_{0};    // boot time
};

}    // namespace seatrial::app
