#include "app/jump_guard.h"

namespace seatrial::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds least_jump{5 * 60'000};    // slewing and slow timers stay far below
constexpr milliseconds hold_time{10 * 60'000};

}    // namespace

JumpGuard::Verdict JumpGuard::look(WallTime wall, milliseconds boot) {
    const milliseconds drift = (wall - wall_) - (boot - boot_);
    if (drift > least_jump || drift < -least_jump) {
        if (jump_ == milliseconds(0)) {
            before_ = wall_;
        }
        jump_ += drift;
        until_ = boot + hold_time;
        if (jump_ <= least_jump) {
            jump_ = milliseconds(0);    // back where it was, or behind
        }
    }
    wall_ = wall;
    boot_ = boot;
    Verdict verdict;
    if (holding()) {
        verdict.hold = boot < until_;
        if (!verdict.hold) {
            verdict.shift = jump_;
            verdict.before = before_;
            jump_ = milliseconds(0);
        }
    }
    return verdict;
}

}    // namespace seatrial::app
