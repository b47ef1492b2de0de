// Provider `docker`: containers of an engine on this machine.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <thread>

#include "preview/provider.h"
#include "resource/docker_engines.h"
#include "resource/postgres_server.h"

namespace seatrial::preview::docker {

// Nothing is asked of the engine, and no thread is there, until a preview needs it.
class DockerProvider : public Provider {
public:
    // Both outlive it.
    DockerProvider(const resource::DockerEngines& engines, const resource::PostgresServers& servers,
                   Layout layout);
    ~DockerProvider() override { end(); }
    std::string_view name() const override { return "docker"; }
    bool needs_user() const override { return false; }
    nlohmann::json isolation() const override;
    // Every component needs an image; no SQLite.
    Status check(const config::App& app) const override;
    // The names of the images. `invalid` when no container could reach the database.
    Status find_facts(Spec& spec, const config::App& app, const Context& ctx) const override;
    plan::Graph make_plan(const Spec& spec, const config::App& app,
                          const World& world) const override;
    Result<Running> observe(const std::string& run, const Context& ctx) const override;
    void begin(std::function<void(const std::string& life)> ended) override;
    void end() override;
    // The engine's events tell: one connection for all.
    Status watch(const std::string& run, const std::string& life) override;
    bool watches(const std::string& run) const override;
    void forget(const std::string& run) override;
    Status kill(const std::string& run, const Context& ctx) override;
    Status copy_logs(const Spec& spec, const Context& ctx) override;
    // A thread and a connection per container, until a few seconds after the last who wants them.
    void follow_logs(const Spec& spec, std::function<bool()> wanted) override;

private:
    struct Follower {
        std::atomic<bool> done = false;
        std::jthread thread;
    };
    Result<seatrial::docker::Engine*> engine() const;
    std::map<std::string, std::string> logs_of(const Spec& spec) const;
    void listen();
    void tell(const std::string& run);
    void follow(const std::string& run, const std::string& file, std::int64_t limit,
                const std::function<bool()>& wanted) const;

    const resource::DockerEngines& engines_;
    const resource::PostgresServers& servers_;
    const Layout layout_;
    CancelSource stop_;
    mutable std::mutex mutex_;
    std::function<void(const std::string&)> ended_;
    std::map<std::string, std::string> watched_;    // run → life
    std::list<Follower> followers_;
    std::jthread events_;
};

}    // namespace seatrial::preview::docker
