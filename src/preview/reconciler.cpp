#include "preview/reconciler.h"

#include "log/log.h"

namespace seatrial::preview {
Reconciler::Reconciler(Parts parts)
    : parts_(std::move(parts)), watcher_([this](const std::string& life) { wake(life); }) {}

void Reconciler::shutdown() {
    stop_.cancel();
    std::unique_lock lock(mutex_);
    stopping_ = true;
    quiet_.wait(lock, [&] { return running_.empty() && queued_.empty(); });
}

Status Reconciler::wake_all() {
    TRY_ASSIGN(const auto ids, parts_.records.unfinished("preview"));
    for (const auto& id : ids) {
        wake(id);
    }
    return {};
}

void Reconciler::wake(const std::string& life) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || !queued_.insert(life).second) {
            return;    // a look that has not begun yet will see the change
        }
    }
    parts_.subjects.submit({[this, life] { look(life); }, "", life});
}

void Reconciler::supersede(const std::string& life) {
    {
        const std::lock_guard lock(mutex_);
        attempts_.erase(life);
        const auto found = running_.find(life);
        if (found != running_.end()) {
            found->second.cancel();
        }
    }
    wake(life);
}

void Reconciler::look(const std::string& id) {
    Next next = Next::again;
    while (next == Next::again) {
        Context ctx;
        {
            const std::lock_guard lock(mutex_);
            queued_.erase(id);
            if (stopping_) {
                running_.erase(id);
                quiet_.notify_all();
                return;
            }
            running_.erase(id);
            ctx = running_.emplace(id, CancelSource(stop_.context())).first->second.context();
        }
        const auto connections = parts_.servers.hold();
        auto life = parts_.records.life(id);
        if (!life) {
            log::error("records cannot be read", life.error(), {{"life", id}});
            next = Next::idle;
        } else if (!*life || (*life)->state == "removed") {
            next = Next::idle;
        } else {
            next = close_difference(**life, ctx);
        }
    }
    const std::lock_guard lock(mutex_);
    running_.erase(id);
    quiet_.notify_all();
}

Reconciler::Next Reconciler::close_difference(store::Life& life, const Context& ctx) {
    if (!life.wanted) {
        return take_down(life, ctx);
    }
    if (life.generation > life.done_generation) {
        return bring_up(life, ctx);
    }
    if (life.state == "failed") {
        return settle_failed(life, ctx);
    }
    return life.state == "running" ? supervise(life) : Next::idle;
}

}    // namespace seatrial::preview
