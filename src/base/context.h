// How long a call may wait and who may cut it short. Every call that can wait takes a
// Context last, polls its own descriptor together with wake_fd(), and stops at the deadline.
#pragma once

#include <chrono>
#include <memory>

#include "base/result.h"

namespace seatrial {

using Deadline = std::chrono::steady_clock::time_point;

class CancelSource;

// Cheap to copy; valid as long as anyone holds it. Thread: any.
class Context {
public:
    // Never cancelled, waits for ever; for main() and tests.
    Context();

    Context with_deadline(Deadline deadline) const;    // the sooner of the two counts
    Context with_timeout(std::chrono::milliseconds timeout) const;

    bool cancelled() const;
    bool expired() const { return std::chrono::steady_clock::now() >= deadline_; }
    Deadline deadline() const { return deadline_; }
    // Readable once cancelled, never drained; -1 when it cannot be cancelled.
    int wake_fd() const;
    // For poll(): milliseconds left, 0 when past, -1 for ever.
    int poll_timeout() const;
    // Ok, or `cancelled` / `timed_out`.
    Status ok() const;

private:
    friend class CancelSource;
    struct Shared;
    std::shared_ptr<Shared> shared_;
    Deadline deadline_ = Deadline::max();
};

// Cancels every Context made from it, and those of the sources below it. Thread: any.
class CancelSource {
public:
    CancelSource();
    explicit CancelSource(const Context& parent);    // also cancelled when the parent is
    void cancel();
    Context context() const;

private:
    std::shared_ptr<Context::Shared> shared_;
    Deadline deadline_ = Deadline::max();
};

// Waits until `fd` has one of `events` (poll(2)) and returns what it has; the errors of
// Context::ok() otherwise. fd < 0 waits for cancellation or deadline alone.
Result<short> wait_fd(int fd, short events, const Context& ctx);
// As a sleep that cancellation ends: ok after `duration`, else Context's error.
Status wait_for(std::chrono::milliseconds duration, const Context& ctx);

}    // namespace seatrial
