// The release side of the daemon: engine, edge, reconciler, and what wakes them.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "plan/scheduler.h"
#include "plan/timers.h"
#include "preview/watcher.h"
#include "process/runner.h"
#include "release/manager.h"
#include "store/records.h"

namespace seatrial::app {

struct ReleaseParts {
    store::Records& records;
    process::Runner& runner;
    plan::Scheduler& subjects;
    plan::Timers& timers;
    std::filesystem::path data, docker_socket;
    std::string instance;
};

// Thread: any.
class Releases {
public:
    explicit Releases(const ReleaseParts& parts);
    ~Releases() { stop(); }
    Releases(const Releases&) = delete;
    Releases& operator=(const Releases&) = delete;

    // Goes on with what the records hold. Without a deployment nothing is started or watched.
    Status start();
    // After this nothing is looked at any more; containers and edge go on. Repeatable.
    void stop();
    // Hears every event of the records; short.
    void react(const store::Event& event);

    docker::Engine& engine() { return engine_; }
    release::Manager& manager() { return manager_; }
    const secrets::Sources& sources() const { return sources_; }

private:
    void watch();
    void move_pointers();
    // Requests for approval end by themselves, whoever looks.
    void rearm_approvals();
    void expire_approvals();
    Status launch_edge(const std::vector<std::string>& argv, const Context& ctx);
    void watch_edge();
    void bring_edge_back();
    std::string edge_run() const;

    ReleaseParts parts_;
    docker::Engine engine_;
    secrets::Sources sources_;
    preview::Watcher watcher_;
    release::EdgeControl edge_;
    release::Reconciler reconciler_;
    release::Manager manager_;
    CancelSource stop_;
    std::mutex mutex_;
    bool watching_ = false;
    std::jthread events_;
};

}    // namespace seatrial::app
