#include "plan/graph.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "plan/scheduler.h"

namespace seatrial::plan {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

milliseconds since(steady_clock::time_point start) {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

struct Done {
    bool reused = false;
    std::string note;
    std::optional<Removal> removal;
};

// Brings one ref to ready, by what its type says about changes.
Result<Done> ensure(const Node& node, Type& type, const std::string& point,
                    const Progress& progress, const Context& ctx) {
    if (!node.fresh) {
        TRY_ASSIGN(const Observation seen, type.observe(node.ref, ctx));
        TRY(failpoint(point, "after_observe"));
        const bool same =
            seen.presence == Presence::ready && seen.spec_hash == spec_hash(*node.spec);
        const OnChange on_change = type.traits().on_change;
        if (same) {
            return Done{true, seen.detail, {}};
        }
        if (seen.presence == Presence::ready && on_change == OnChange::keep) {
            return Done{true, "kept: " + seen.detail, {}};
        }
        if (seen.presence == Presence::foreign) {
            return fail(Code::conflict,
                        to_string(node.ref) + " exists and is not ours: " + seen.detail,
                        "remove or rename it; Seatrial never touches what it did not make");
        }
        if (seen.presence != Presence::absent && on_change == OnChange::replace) {
            TRY(type.destroy(node.ref, ctx));
            TRY(failpoint(point, "after_replace"));
        }
    }
    TRY(type.create(node.ref, *node.spec, progress, ctx));
    return Done{};
}

// Gone is what an observation says, not what destroy() hopes.
Result<Done> destroy(const Node& node, Type& type, const std::string& point, const Context& ctx) {
    TRY_ASSIGN(Removal removal, type.destroy(node.ref, ctx));
    TRY(failpoint(point, "after_destroy"));
    TRY_ASSIGN(const Observation seen, type.observe(node.ref, ctx));
    if (seen.presence != Presence::absent && seen.presence != Presence::foreign) {
        return fail(Code::unavailable, to_string(node.ref) + " is still there: " + seen.detail);
    }
    Done done;
    done.note = removal.note;
    done.removal = std::move(removal);
    return done;
}

// Runs one graph. Shared by its tasks; lives until the last of them has ended.
class Run {
public:
    Run(const Graph& graph, const Types& types, Scheduler& scheduler,
        const std::function<void(const StepNews&)>& news, const Context& ctx)
        : graph_(graph), types_(types), scheduler_(scheduler), news_(news), source_(ctx) {
        for (const Node& node : graph.nodes) {
            State& state = states_[node.id];
            check(state.node == nullptr, "node ids are unique");
            state.node = &node;
            state.waiting = node.after.size();
        }
        for (const Node& node : graph.nodes) {
            for (const auto& before : node.after) {
                check(states_.contains(before), "a node depends on one that is not there");
                states_[before].then.push_back(node.id);
            }
        }
    }

    RunResult wait() {
        const auto start = steady_clock::now();
        std::unique_lock lock(mutex_);
        left_ = states_.size();
        std::vector<std::string> first;
        for (const auto& [id, state] : states_) {
            if (state.waiting == 0) {
                first.push_back(id);
            }
        }
        check(left_ == 0 || !first.empty(), "a plan has no cycles");
        for (const auto& id : first) {
            submit(id);
        }
        quiet_.wait(lock, [&] { return left_ == 0; });
        for (const auto& [id, state] : states_) {
            result_.critical_path = std::max(result_.critical_path, state.path);
        }
        result_.elapsed = since(start);
        return std::move(result_);
    }

private:
    struct State {
        const Node* node = nullptr;
        std::size_t waiting = 0;
        std::vector<std::string> then;
        milliseconds path{0};    // longest chain of times up to and with this node
        bool skip = false;
    };

    void submit(const std::string& id) {
        const Node& node = *states_[id].node;
        const Type* type = types_.find(node.ref.type);
        Task task;
        task.run = [this, id] { work(id); };
        if (type != nullptr) {
            task.pool = type->traits().pool;
        }
        task.key = to_string(node.ref);
        scheduler_.submit(std::move(task));
    }

    void tell(const Node& node, StepNews::Kind kind, milliseconds elapsed, std::string line,
              const Error* error = nullptr) {
        const std::lock_guard lock(news_mutex_);
        news_({&node, kind, elapsed, std::move(line), error});
    }

    Result<Done> run_node(const Node& node, const Context& ctx) {
        Type* type = types_.find(node.ref.type);
        if (type == nullptr) {
            return fail(Code::invalid, "unknown resource type " + node.ref.type,
                        "the records were written by a newer seatrial");
        }
        const std::string point = graph_.name + "." + node.id;
        TRY(failpoint(point, "before"));
        const Progress progress = [&](std::string_view line) {
            tell(node, StepNews::Kind::progress, milliseconds(0), std::string(line));
        };
        auto done = node.op == Op::ensure ? ensure(node, *type, point, progress, ctx)
                                          : destroy(node, *type, point, ctx);
        TRY(failpoint(point, "after"));
        return done;
    }

    void work(const std::string& id) {
        State& state = states_[id];
        const Node& node = *state.node;
        const Context all = source_.context();
        if (state.skip || all.cancelled()) {
            tell(node, StepNews::Kind::cancelled, milliseconds(0), "not started");
            finish(state, milliseconds(0), false, std::nullopt);
            return;
        }
        const auto start = steady_clock::now();
        tell(node, StepNews::Kind::started, milliseconds(0), "");
        auto done = run_node(node, all.with_timeout(node.timeout));
        const auto elapsed = since(start);
        if (done) {
            tell(node, done->reused ? StepNews::Kind::reused : StepNews::Kind::done, elapsed,
                 done->note);
            finish(state, elapsed, true, std::move(*done));
            return;
        }
        Error error = std::move(done).error();
        const bool cancelled = error.code == Code::cancelled;
        if (error.code == Code::timed_out && error.hint.empty()) {
            error.message = node.title + " took longer than " + render_timeout(node.timeout) +
                            ": " + error.message;
        }
        tell(node, cancelled ? StepNews::Kind::cancelled : StepNews::Kind::failed, elapsed,
             render_error(error), &error);
        {
            const std::lock_guard lock(mutex_);
            if (!cancelled && !result_.failure) {
                result_.failure = NodeFailure{node.id, node.title, error};
            }
        }
        if (!graph_.keep_going) {
            source_.cancel();
        }
        finish(state, elapsed, false, std::nullopt);
    }

    static std::string render_timeout(milliseconds timeout) {
        return std::to_string(timeout.count() / 1000) + " s";
    }

    void finish(State& state, milliseconds elapsed, bool ok, std::optional<Done> done) {
        const std::lock_guard lock(mutex_);
        state.path += elapsed;
        if (done && done->removal) {
            result_.gone.push_back({state.node->ref, std::move(*done->removal)});
        }
        for (const auto& id : state.then) {
            State& next = states_[id];
            next.path = std::max(next.path, state.path);
            next.skip = next.skip || !ok;
            if (--next.waiting == 0) {
                submit(id);
            }
        }
        --left_;
        quiet_.notify_all();    // under the lock: wait() may destroy this object right after
    }

    const Graph& graph_;
    const Types& types_;
    Scheduler& scheduler_;
    const std::function<void(const StepNews&)>& news_;
    CancelSource source_;
    std::mutex mutex_;
    std::mutex news_mutex_;
    std::condition_variable quiet_;
    std::map<std::string, State> states_;
    std::size_t left_ = 0;
    RunResult result_;
};

}    // namespace

std::string_view to_string(StepNews::Kind kind) {
    switch (kind) {
        case StepNews::Kind::started: return "started";
        case StepNews::Kind::progress: return "progress";
        case StepNews::Kind::done: return "done";
        case StepNews::Kind::reused: return "reused";
        case StepNews::Kind::failed: return "failed";
        case StepNews::Kind::cancelled: return "cancelled";
    }
    return "unknown";
}

RunResult run_graph(const Graph& graph, const Types& types, Scheduler& scheduler,
                    const std::function<void(const StepNews&)>& news, const Context& ctx) {
    return Run(graph, types, scheduler, news, ctx).wait();
}

Graph make_stop_graph(const std::vector<Ref>& refs, const Types& types, std::vector<Ref>* unknown) {
    Graph graph;
    graph.name = "stop";
    graph.keep_going = true;
    std::map<std::string, int> of_type;
    std::vector<Traits> traits;
    for (const Ref& ref : refs) {
        const Type* type = types.find(ref.type);
        if (type == nullptr) {
            if (unknown != nullptr) {
                unknown->push_back(ref);
            }
            continue;
        }
        traits.push_back(type->traits());
        Node node;
        node.id = ref.type + "." + std::to_string(of_type[ref.type]++);
        node.title = "remove " + std::string(traits.back().title);
        node.op = Op::destroy;
        node.ref = ref;
        graph.nodes.push_back(std::move(node));
    }
    for (std::size_t i = 0; i < traits.size(); ++i) {
        for (std::size_t j = 0; j < traits.size(); ++j) {
            const bool apart = !traits[i].lane.empty() && !traits[j].lane.empty() &&
                               traits[i].lane != traits[j].lane;
            if (traits[j].rank > traits[i].rank && !apart) {
                graph.nodes[i].after.push_back(graph.nodes[j].id);
            }
        }
    }
    return graph;
}

}    // namespace seatrial::plan
