// Provider `local`: processes under the runner, in worktrees of this machine.
#pragma once

#include <mutex>

#include "preview/provider.h"
#include "preview/watcher.h"
#include "process/runner.h"

namespace seatrial::preview::local {

class LocalProvider : public Provider {
public:
    // `runner` outlives it.
    LocalProvider(process::Runner& runner, Layout layout, std::string instance,
                  std::string boot_id);
    std::string_view name() const override { return "local"; }
    bool needs_user() const override { return true; }
    nlohmann::json isolation() const override;
    Status check(const config::App& app) const override;
    // The dependency tree.
    Status find_facts(Spec& spec, const config::App& app, const Context& ctx) const override;
    plan::Graph make_plan(const Spec& spec, const config::App& app,
                          const World& world) const override;
    Result<Running> observe(const std::string& run, const Context& ctx) const override;
    void begin(std::function<void(const std::string& life)> ended) override;
    void end() override;
    Status watch(const std::string& run, const std::string& life) override;
    bool watches(const std::string& run) const override;
    void forget(const std::string& run) override;
    Status kill(const std::string& run, const Context& ctx) override;
    // A shim writes them.
    Status copy_logs(const Spec& spec, const Context& ctx) override;
    void follow_logs(const Spec& spec, std::function<bool()> wanted) override;

private:
    process::Runner& runner_;
    const Layout layout_;
    const std::string instance_, boot_id_;
    mutable std::mutex mutex_;
    std::shared_ptr<Watcher> watcher_;    // between begin() and end()
};

}    // namespace seatrial::preview::local
