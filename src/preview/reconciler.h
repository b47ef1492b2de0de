// Closes the difference between what is wanted of each preview and what stands, one at a time
// per preview. Level-triggered: wake() only says "look again"; what is done follows from the
// records and the world alone, so that a lost or doubled wake-up changes nothing.
#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "plan/subjects.h"
#include "preview/parts.h"
#include "preview/spec.h"

namespace seatrial::preview {

// Thread: any.
class Reconciler {
public:
    explicit Reconciler(Parts parts);
    // Cancels what runs (states stay as they are and go on after the next start) and waits.
    ~Reconciler() { shutdown(); }
    // The same; afterwards every call is without effect. Repeatable.
    void shutdown();
    Reconciler(const Reconciler&) = delete;
    Reconciler& operator=(const Reconciler&) = delete;

    // Looks at every unfinished life: re-adopts what runs, goes on with what was under way.
    Status wake_all();
    void wake(const std::string& life) { subjects_.wake(life); }
    // What is wanted changed: a running plan for an older generation ends, then look again.
    void supersede(const std::string& life);

private:
    enum class Next { idle, again };
    Next look(const std::string& id, const Context& ctx);
    Next close_difference(store::Life& life, const Context& ctx);
    Next bring_up(store::Life& life, const Context& ctx);
    Next take_down(store::Life& life, const Context& ctx);
    struct Ended {
        std::string component;    // "" = all run
        std::string how;
        bool rebooted = false;
    };
    Result<Ended> find_ended(const Spec& spec, const Context& ctx) const;
    Next supervise(store::Life& life, const Context& ctx);
    Next give_up_on(store::Life& life, const Ended& ended);
    Result<plan::Graph> make_graph(store::Life& life, Spec& spec, const config::App& app,
                                   const Context& ctx);
    Status journal(store::Life& life, const Spec& spec, plan::Graph& graph);
    Next succeed(store::Life& life, const Spec& spec, const config::App& app,
                 const plan::Graph& graph, const plan::RunResult& result);
    Next fail_generation(store::Life& life, const std::string& step, const std::string& title,
                         const Error& error, bool disturbed);
    Next settle_failed(store::Life& life, const Context& ctx);
    Next retry_later(store::Life& life, const std::string& step, const Error& error);
    bool move_ports(store::Life& life, const Error& error);
    Status release(store::Life& life, const std::vector<plan::Ref>& refs, const std::string& name,
                   nlohmann::json& status, const Context& ctx);
    Status watch_components(const store::Life& life, const Spec& spec);
    plan::RunResult run(const store::Life& life, const plan::Graph& graph, const Context& ctx);

    Parts parts_;
    std::mutex mutex_;
    std::map<std::string, int> attempts_;    // world's faults in a row, by life
    bool stopping_ = false;
    plan::Subjects subjects_;
};

}    // namespace seatrial::preview
