// A plan: a pure function's answer to "what closes the difference". Never stored; after a
// restart it is made anew from the spec and the observed world.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/resource.h"

namespace seatrial::plan {

enum class Op { ensure, destroy };

struct Node {
    std::string id;       // stable within a plan: "tree", "start.web"
    std::string title;    // for people: "start web"
    Op op = Op::ensure;
    Ref ref;
    std::shared_ptr<const nlohmann::json> spec;    // of ensure
    std::vector<std::string> after;                // ids of nodes that must be done before
    std::chrono::milliseconds timeout{15 * 60'000};
    // The name was chosen for this plan and written in its journal transaction: nothing can
    // exist yet, so looking is skipped.
    bool fresh = false;
};

struct Graph {
    std::string name;           // "up", "update", "stop": prefix of its failpoints
    std::vector<Node> nodes;    // any order; ids unique, no cycles (checked)
    bool keep_going = false;    // a failure skips only what depends on it (stop)
};

// What becomes of a node, as it happens. Thread: called from worker threads, one at a time.
struct StepNews {
    enum class Kind { started, progress, done, reused, failed, cancelled };
    const Node* node = nullptr;
    Kind kind = Kind::started;
    std::chrono::milliseconds elapsed{0};
    std::string line;                // progress text, or how it ended
    const Error* error = nullptr;    // of failed
};
std::string_view to_string(StepNews::Kind kind);

struct NodeFailure {
    std::string id;
    std::string title;
    Error error;
};

struct RunResult {
    std::optional<NodeFailure> failure;    // the first that was not a mere cancellation
    struct Gone {
        Ref ref;
        Removal removal;
    };
    std::vector<Gone> gone;    // destroyed and observed absent
    std::chrono::milliseconds elapsed{0};
    std::chrono::milliseconds critical_path{0};    // longest chain of node times
};

class Scheduler;

// Runs the graph: independent nodes in parallel, each with its deadline, pool and failpoints
// (<graph>.<node>.before, .after_observe, .after). A failure cancels the siblings; returns when
// all nodes are quiet. Blocks the calling thread; nodes run on `scheduler`.
RunResult run_graph(const Graph& graph, const Types& types, Scheduler& scheduler,
                    const std::function<void(const StepNews&)>& news, const Context& ctx);

// Destroys everything in `refs`, high rank first, refs of unknown types left out (and told in
// `unknown`).
Graph make_stop_graph(const std::vector<Ref>& refs, const Types& types, std::vector<Ref>* unknown);

}    // namespace seatrial::plan
