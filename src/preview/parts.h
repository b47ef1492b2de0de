// What the preview folder works with; app/ owns all of it and outlives every user.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "config/config.h"
#include "plan/graph.h"
#include "plan/scheduler.h"
#include "plan/timers.h"
#include "preview/provider.h"
#include "process/runner.h"
#include "resource/postgres_server.h"
#include "store/records.h"

namespace seatrial::preview {

// The server's configuration as it is now; replaced as a whole. Thread: any.
class ConfigSnapshot {
public:
    explicit ConfigSnapshot(config::Server server)
        : server_(std::make_shared<const config::Server>(std::move(server))) {}
    std::shared_ptr<const config::Server> get() const {
        const std::lock_guard lock(mutex_);
        return server_;
    }
    void set(config::Server server) {
        auto next = std::make_shared<const config::Server>(std::move(server));
        const std::lock_guard lock(mutex_);
        server_.swap(next);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const config::Server> server_;
};

struct Parts {
    store::Records& records;
    const plan::Types& types;
    plan::Scheduler& nodes;       // plan nodes
    plan::Scheduler& subjects;    // one reconcile per life
    plan::Timers& timers;
    process::Runner& runner;
    resource::PostgresServers& servers;
    const ConfigSnapshot& config;
    const Providers& providers;
    Layout layout;
    std::string instance;
};

// The key in the records' meta that says that a preview was ever wanted with a provider.
inline std::string used_key(const std::string& provider) {
    return "provider:" + provider;
}

// `invalid` for a provider that this program does not have.
Result<Provider*> provider_of(const Parts& parts, const Spec& spec);

}    // namespace seatrial::preview
