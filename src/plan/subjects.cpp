#include "plan/subjects.h"

namespace seatrial::plan {

void Subjects::wake(const std::string& subject) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || !queued_.insert(subject).second) {
            return;    // a look that has not begun yet will see the change
        }
    }
    scheduler_.submit({[this, subject] { run(subject); }, "", subject});
}

void Subjects::supersede(const std::string& subject) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = running_.find(subject);
        if (found != running_.end()) {
            found->second.cancel();
        }
    }
    wake(subject);
}

void Subjects::shutdown() {
    stop_.cancel();
    std::unique_lock lock(mutex_);
    stopping_ = true;
    quiet_.wait(lock, [&] { return running_.empty() && queued_.empty(); });
}

void Subjects::run(const std::string& subject) {
    bool again = true;
    while (again) {
        Context ctx;
        {
            const std::lock_guard lock(mutex_);
            queued_.erase(subject);
            running_.erase(subject);
            if (stopping_) {
                break;
            }
            ctx = running_.emplace(subject, CancelSource(stop_.context())).first->second.context();
        }
        again = look_(subject, ctx);
    }
    const std::lock_guard lock(mutex_);
    running_.erase(subject);
    quiet_.notify_all();
}

}    // namespace seatrial::plan
