// One look at a time per subject, woken and never called back: wake() only says "look again", so a
// lost or doubled wake-up changes nothing.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/context.h"
#include "plan/scheduler.h"

namespace seatrial::plan {

// Thread: any.
class Subjects {
public:
    // `look` runs on `scheduler`, again at once while it returns true.
    using Look = std::function<bool(const std::string& subject, const Context& ctx)>;
    Subjects(Scheduler& scheduler, Look look) : scheduler_(scheduler), look_(std::move(look)) {}
    ~Subjects() { shutdown(); }
    Subjects(const Subjects&) = delete;
    Subjects& operator=(const Subjects&) = delete;

    void wake(const std::string& subject);
    // Cancels a look that is under way, then looks again: what is wanted has changed.
    void supersede(const std::string& subject);
    // Cancels all looks and waits for them; later calls are without effect. Repeatable.
    void shutdown();

private:
    void run(const std::string& subject);

    Scheduler& scheduler_;
    Look look_;
    CancelSource stop_;
    std::mutex mutex_;
    std::condition_variable quiet_;
    std::map<std::string, CancelSource> running_;
    std::set<std::string> queued_;
    bool stopping_ = false;
};

}    // namespace seatrial::plan
