// What differs between the places that previews run in: processes of this machine (local/), the
// containers of an engine (docker/). Whoever calls never knows which one it has.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "preview/draft.h"

namespace seatrial::preview {

// A component as it is now.
struct Running {
    enum class Phase { absent, starting, running, exited };
    Phase phase = Phase::absent;
    std::string how;          // it ended, for people
    bool rebooted = false;    // because the machine was restarted
    std::optional<std::int64_t> pid, memory_bytes, cpu_ms, processes;    // where known
};

// Thread: any. Errors: `unavailable` while the place does not answer.
class Provider {
public:
    virtual ~Provider() = default;
    virtual std::string_view name() const = 0;
    // Its components run as a user of the preview's own: a uid slot (process/runner.h).
    virtual bool needs_user() const = 0;
    // What protects previews from each other: level (basic, standard, strong), missing [], more.
    virtual nlohmann::json isolation() const = 0;
    // `invalid` for an app that it cannot run.
    virtual Status check(const config::App& app) const = 0;
    // Fills what its plan needs of the spec and is not the same everywhere (preview/facts.h).
    virtual Status find_facts(Spec& spec, const config::App& app, const Context& ctx) const = 0;
    // A pure function.
    virtual plan::Graph make_plan(const Spec& spec, const config::App& app,
                                  const World& world) const = 0;

    // `run`: name of a component's ref.
    virtual Result<Running> observe(const std::string& run, const Context& ctx) const = 0;
    // From now on `ended(life)` is called for what is watched; it must only wake somebody.
    virtual void begin(std::function<void(const std::string& life)> ended) = 0;
    virtual void end() = 0;    // never again; waits for a call at work; repeatable
    // The run's end, once. `not_found` when it has ended.
    virtual Status watch(const std::string& run, const std::string& life) = 0;
    virtual bool watches(const std::string& run) const = 0;
    virtual void forget(const std::string& run) = 0;
    // Ends it without records or plan, for who has lost them.
    virtual Status kill(const std::string& run, const Context& ctx) = 0;

    // Brings the log files of a preview up to date; and keeps them so while `wanted`.
    virtual Status copy_logs(const Spec& spec, const Context& ctx) = 0;
    virtual void follow_logs(const Spec& spec, std::function<bool()> wanted) = 0;
};

// By name; nothing changes after start-up.
using Providers = std::map<std::string, std::unique_ptr<Provider>, std::less<>>;

}    // namespace seatrial::preview
