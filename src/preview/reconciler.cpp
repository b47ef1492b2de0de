#include "preview/reconciler.h"

#include "log/log.h"

namespace seatrial::preview {
Reconciler::Reconciler(Parts parts)
    : parts_(std::move(parts)),
      subjects_(parts_.subjects, [this](const std::string& life, const Context& ctx) {
          return look(life, ctx) == Next::again;
      }) {
    for (const auto& [name, provider] : parts_.providers) {
        provider->begin([this](const std::string& life) { wake(life); });
    }
}

void Reconciler::shutdown() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    subjects_.shutdown();
    for (const auto& [name, provider] : parts_.providers) {
        provider->end();
    }
}

Status Reconciler::wake_all() {
    TRY_ASSIGN(const auto ids, parts_.records.unfinished("preview"));
    for (const auto& id : ids) {
        wake(id);
    }
    return {};
}

void Reconciler::supersede(const std::string& life) {
    {
        const std::lock_guard lock(mutex_);
        attempts_.erase(life);
    }
    subjects_.supersede(life);
}

Reconciler::Next Reconciler::look(const std::string& id, const Context& ctx) {
    const auto connections = parts_.servers.hold();
    auto life = parts_.records.life(id);
    if (!life) {
        log::error("records cannot be read", life.error(), {{"life", id}});
        return Next::idle;
    }
    if (!*life || (*life)->state == "removed") {
        return Next::idle;
    }
    return close_difference(**life, ctx);
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
    return life.state == "running" ? supervise(life, ctx) : Next::idle;
}

}    // namespace seatrial::preview
