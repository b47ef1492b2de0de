#include "base/context.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <vector>

namespace seatrial {

struct Context::Shared {
    Shared() : fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { check(fd >= 0, "eventfd"); }
    ~Shared() { ::close(fd); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    void cancel() {
        std::vector<std::weak_ptr<Shared>> below;
        {
            const std::lock_guard lock(mutex);
            if (cancelled.exchange(true)) {
                return;
            }
            below.swap(children);
        }
        const std::uint64_t one = 1;
        // An eventfd write can only fail when the counter is full: then it is readable already.
        [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
        for (const auto& child : below) {
            if (auto alive = child.lock()) {
                alive->cancel();
            }
        }
    }

    void add_child(const std::shared_ptr<Shared>& child) {
        {
            const std::lock_guard lock(mutex);
            if (!cancelled) {
                std::erase_if(children, [](const auto& other) { return other.expired(); });
                children.push_back(child);
                return;
            }
        }
        child->cancel();
    }

    int fd;
    std::atomic<bool> cancelled = false;
    std::mutex mutex;
    std::vector<std::weak_ptr<Shared>> children;
};

Context::Context() = default;

Context Context::with_deadline(Deadline deadline) const {
    Context copy = *this;
    copy.deadline_ = std::min(copy.deadline_, deadline);
    return copy;
}

Context Context::with_timeout(std::chrono::milliseconds timeout) const {
    return with_deadline(std::chrono::steady_clock::now() + timeout);
}

bool Context::cancelled() const {
    return shared_ != nullptr && shared_->cancelled;
}

int Context::wake_fd() const {
    return shared_ == nullptr ? -1 : shared_->fd;
}

int Context::poll_timeout() const {
    if (deadline_ == Deadline::max()) {
        return -1;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
}

Status Context::ok() const {
    if (cancelled()) {
        return fail(Code::cancelled, "cancelled");
    }
    if (expired()) {
        return fail(Code::timed_out, "timed out");
    }
    return {};
}

CancelSource::CancelSource() : shared_(std::make_shared<Context::Shared>()) {}

CancelSource::CancelSource(const Context& parent)
    : shared_(std::make_shared<Context::Shared>()), deadline_(parent.deadline_) {
    if (parent.shared_ != nullptr) {
        parent.shared_->add_child(shared_);
    }
}

void CancelSource::cancel() {
    shared_->cancel();
}

Context CancelSource::context() const {
    Context ctx;
    ctx.shared_ = shared_;
    ctx.deadline_ = deadline_;
    return ctx;
}

Result<short> wait_fd(int fd, short events, const Context& ctx) {
    while (true) {
        TRY(ctx.ok());
        pollfd fds[2] = {{fd, events, 0}, {ctx.wake_fd(), POLLIN, 0}};
        const int ready = ::poll(fds, 2, ctx.poll_timeout());
        if (ready < 0 && errno != EINTR) {
            return fail_errno("poll", errno);
        }
        if (ready > 0 && fds[0].revents != 0) {
            return fds[0].revents;
        }
    }
}

Status wait_for(std::chrono::milliseconds duration, const Context& ctx) {
    const auto until = std::chrono::steady_clock::now() + duration;
    const auto waited = wait_fd(-1, 0, ctx.with_deadline(until));
    if (!waited && waited.error().code == Code::timed_out && !ctx.expired()) {
        return {};
    }
    return waited ? Status{} : Status(tl::unexpected(waited.error()));
}

}    // namespace seatrial
