#include "plan/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "plan/scheduler.h"

namespace seatrial::plan {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

// Things in memory, with the faults a test asks for.
class FakeType : public Type {
public:
    explicit FakeType(std::string name, Traits traits = {})
        : name_(std::move(name)), traits_(traits) {}
    std::string_view name() const override { return name_; }
    Traits traits() const override { return traits_; }
    Result<std::vector<std::string>> list(const std::string&, const Context&) override {
        const std::lock_guard lock(mutex);
        std::vector<std::string> names;
        for (const auto& [thing, hash] : things) {
            names.push_back(thing);
        }
        return names;
    }
    Result<Observation> observe(const Ref& ref, const Context&) override {
        const std::lock_guard lock(mutex);
        ++looks;
        Observation seen;
        if (foreign.contains(ref.name)) {
            seen.presence = Presence::foreign;
        } else if (const auto found = things.find(ref.name); found != things.end()) {
            seen.presence = found->second.empty() ? Presence::partial : Presence::ready;
            seen.spec_hash = found->second;
        }
        return seen;
    }
    Status create(const Ref& ref, const json& spec, const Progress& progress,
                  const Context& ctx) override {
        if (work) {
            TRY(work(ref, ctx));
        }
        progress("half way");
        const std::lock_guard lock(mutex);
        log.push_back("create " + ref.name);
        things[ref.name] = spec_hash(spec);
        return {};
    }
    Result<Removal> destroy(const Ref& ref, const Context&) override {
        const std::lock_guard lock(mutex);
        log.push_back("destroy " + ref.name);
        if (!stuck.contains(ref.name)) {
            things.erase(ref.name);
        }
        return Removal{"gone", 7};
    }

    std::function<Status(const Ref&, const Context&)> work;
    std::mutex mutex;
    std::map<std::string, std::string> things;
    std::set<std::string> foreign, stuck;
    std::vector<std::string> log;
    int looks = 0;

private:
    std::string name_;
    Traits traits_;
};

Node ensure(const std::string& id, std::vector<std::string> after = {},
            json spec = json::object()) {
    Node node;
    node.id = id;
    node.title = id;
    node.ref = {"fake", "host", id};
    node.spec = std::make_shared<const json>(std::move(spec));
    node.after = std::move(after);
    return node;
}

struct Fixture : testing::Test {
    Fixture() {
        Traits traits;
        traits.pool = "pool";
        auto owner = std::make_unique<FakeType>("fake", traits);
        fake = owner.get();
        types.add(std::move(owner));
    }
    RunResult run(const Graph& graph, const Context& ctx = Context()) {
        return run_graph(
            graph, types, scheduler,
            [&](const StepNews& news) {
                news_.push_back(news.node->id + " " + std::string(to_string(news.kind)));
            },
            ctx);
    }
    Types types;
    FakeType* fake = nullptr;
    Scheduler scheduler{8, {{"pool", 8}, {"narrow", 1}}};
    std::vector<std::string> news_;
};

using GraphRun = Fixture;

TEST_F(GraphRun, MakesThingsInOrderOfDependence) {
    const Graph graph{"up", {ensure("c", {"b"}), ensure("b", {"a"}), ensure("a")}, false};
    const auto result = run(graph);
    EXPECT_FALSE(result.failure);
    EXPECT_THAT(fake->log, ElementsAre("create a", "create b", "create c"));
    EXPECT_THAT(news_, ElementsAre("a started", "a progress", "a done", "b started", "b progress",
                                   "b done", "c started", "c progress", "c done"));
}

TEST_F(GraphRun, RunsIndependentNodesAtTheSameTime) {
    std::latch both(2);
    fake->work = [&](const Ref&, const Context&) -> Status {
        both.arrive_and_wait();    // hangs into the test's time-out when they run one by one
        return {};
    };
    EXPECT_FALSE(run({"up", {ensure("a"), ensure("b")}, false}).failure);
}

TEST_F(GraphRun, ReusesWhatIsReadyAndLooksBeforeItActs) {
    const json spec = {{"commit", "1"}};
    fake->things["a"] = spec_hash(spec);
    const auto result = run({"up", {ensure("a", {}, spec)}, false});
    EXPECT_FALSE(result.failure);
    EXPECT_TRUE(fake->log.empty());
    EXPECT_THAT(news_, ElementsAre("a started", "a reused"));
}

TEST_F(GraphRun, ReplacesWhatStandsWithAnotherSpecOrHalfMade) {
    fake->things["a"] = "other";
    fake->things["b"] = "";
    EXPECT_FALSE(run({"up", {ensure("a"), ensure("b", {"a"})}, false}).failure);
    EXPECT_THAT(fake->log, ElementsAre("destroy a", "create a", "destroy b", "create b"));
}

TEST_F(GraphRun, NeverTouchesAForeignThing) {
    fake->foreign.insert("a");
    const auto result = run({"up", {ensure("a")}, false});
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->error.code, Code::conflict);
    EXPECT_TRUE(fake->log.empty());
}

TEST_F(GraphRun, DoesNotLookWhenTheNameIsFresh) {
    Graph graph{"up", {ensure("a")}, false};
    graph.nodes[0].fresh = true;
    EXPECT_FALSE(run(graph).failure);
    EXPECT_EQ(fake->looks, 0);
}

TEST_F(GraphRun, AFailureCancelsSiblingsAndWaitsUntilAllAreQuiet) {
    std::atomic<bool> cancelled = false;
    std::latch waiting(1);
    fake->work = [&](const Ref& ref, const Context& ctx) -> Status {
        if (ref.name == "bad") {
            waiting.wait();
            return fail(Code::failed, "exit code 1");
        }
        waiting.count_down();
        const auto waited = wait_for(std::chrono::minutes(1), ctx);
        cancelled = !waited && waited.error().code == Code::cancelled;
        return waited;
    };
    const auto result =
        run({"up", {ensure("bad"), ensure("slow"), ensure("later", {"bad"})}, false});
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->id, "bad");
    EXPECT_TRUE(cancelled);
    EXPECT_TRUE(fake->things.empty());
}

TEST_F(GraphRun, StopsAtTheNodesDeadline) {
    fake->work = [](const Ref&, const Context& ctx) {
        return wait_for(std::chrono::minutes(1), ctx);
    };
    Graph graph{"up", {ensure("a")}, false};
    graph.nodes[0].timeout = std::chrono::milliseconds(5);
    const auto result = run(graph);
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->error.code, Code::timed_out);
    EXPECT_THAT(result.failure->error.message, HasSubstr("took longer"));
}

TEST_F(GraphRun, CancellationFromOutsideEndsTheRunWithoutAFailure) {
    CancelSource source;
    fake->work = [&](const Ref&, const Context& ctx) {
        source.cancel();
        return wait_for(std::chrono::minutes(1), ctx);
    };
    const auto result = run({"up", {ensure("a"), ensure("b", {"a"})}, false}, source.context());
    EXPECT_FALSE(result.failure);
    EXPECT_TRUE(fake->things.empty());
}

TEST_F(GraphRun, GoneMeansObservedAbsent) {
    fake->things = {{"a", "x"}, {"b", "x"}};
    fake->stuck.insert("b");
    Graph graph = make_stop_graph({{"fake", "host", "a"}, {"fake", "host", "b"}}, types, nullptr);
    const auto result = run(graph);
    ASSERT_EQ(result.gone.size(), 1U);
    EXPECT_EQ(result.gone[0].ref.name, "a");
    EXPECT_EQ(result.gone[0].removal.trash_bytes, 7);
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->error.code, Code::unavailable);
}

TEST_F(GraphRun, StopTakesHighRanksFirstAndGoesOnAfterAFailure) {
    Traits low;
    low.rank = 1;
    auto owner = std::make_unique<FakeType>("low", low);
    FakeType* lower = owner.get();
    types.add(std::move(owner));
    Traits high;
    high.rank = 9;
    auto top = std::make_unique<FakeType>("high", high);
    FakeType* higher = top.get();
    types.add(std::move(top));
    fake->things["x"] = "x";
    higher->things["h"] = "x";
    lower->things["l"] = "x";
    std::vector<Ref> unknown;
    const Graph graph = make_stop_graph({{"low", "host", "l"},
                                         {"high", "host", "h"},
                                         {"fake", "host", "x"},
                                         {"newer", "host", "n"}},
                                        types, &unknown);
    ASSERT_EQ(unknown.size(), 1U);
    EXPECT_EQ(unknown[0].type, "newer");
    const auto result = run(graph);
    EXPECT_FALSE(result.failure);
    ASSERT_EQ(result.gone.size(), 3U);
    EXPECT_EQ(result.gone[0].ref.type, "high");
    EXPECT_EQ(result.gone[1].ref.type, "low");
    EXPECT_EQ(result.gone[2].ref.type, "fake");
}

TEST_F(GraphRun, StopTakesNamedLanesSideBySide) {
    const auto add = [&](const char* name, int rank, std::string_view lane) {
        Traits traits;
        traits.rank = rank;
        traits.lane = lane;
        types.add(std::make_unique<FakeType>(name, traits));
    };
    add("top", 9, "");
    add("file", 5, "files");
    add("database", 4, "database");
    add("role", 2, "database");
    add("last", 1, "");
    const Graph graph = make_stop_graph({{"top", "host", "a"},
                                         {"file", "host", "a"},
                                         {"database", "host", "a"},
                                         {"role", "host", "a"},
                                         {"last", "host", "a"}},
                                        types, nullptr);
    ASSERT_EQ(graph.nodes.size(), 5U);
    using testing::UnorderedElementsAre;
    EXPECT_TRUE(graph.nodes[0].after.empty());
    EXPECT_THAT(graph.nodes[1].after, UnorderedElementsAre("top.0"));
    EXPECT_THAT(graph.nodes[2].after, UnorderedElementsAre("top.0"));
    EXPECT_THAT(graph.nodes[3].after, UnorderedElementsAre("top.0", "database.0"));
    EXPECT_THAT(graph.nodes[4].after,
                UnorderedElementsAre("top.0", "file.0", "database.0", "role.0"));
}

TEST_F(GraphRun, ManyGraphsShareOneThingAndItIsMadeOnce) {
    std::atomic<int> made = 0;
    fake->work = [&](const Ref&, const Context&) -> Status {
        ++made;
        return {};
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            const Graph graph{"up", {ensure("shared")}, false};
            EXPECT_FALSE(
                run_graph(graph, types, scheduler, [](const StepNews&) {}, Context()).failure);
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(made, 1);
}

TEST(SchedulerTest, BoundsItsPoolsAndHoldsNoThreadWhileWaiting) {
    Scheduler scheduler(2, {{"narrow", 1}});
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    std::latch all(6);
    std::latch other(1);
    for (int i = 0; i < 6; ++i) {
        scheduler.submit({[&] {
                              most = std::max(most.load(), ++inside);
                              other.wait();    // needs the second worker, though 5 are queued
                              --inside;
                              all.count_down();
                          },
                          "narrow", ""});
    }
    scheduler.submit({[&] { other.count_down(); }, "", ""});
    all.wait();
    EXPECT_EQ(most, 1);
}

TEST(SpecHashTest, DoesNotDependOnTheOrderOfKeys) {
    EXPECT_EQ(spec_hash(json::parse(R"({"a":1,"b":2})")),
              spec_hash(json::parse(R"({"b":2,"a":1})")));
    EXPECT_NE(spec_hash(json::parse(R"({"a":1})")), spec_hash(json::parse(R"({"a":2})")));
}

}    // namespace
}    // namespace seatrial::plan
