#include "preview/local/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace seatrial::preview::local {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

struct PlanTest : testing::Test {
    PlanTest() {
        for (const char* name : {"web", "api"}) {
            config::Component component;
            component.name = name;
            component.run.text = "node " + std::string(name);
            component.port = name == std::string("web") ? "WEB_PORT" : "API_PORT";
            component.health = config::Health{"/", std::chrono::seconds(60)};
            app.components.push_back(component);
        }
        app.name = "shop";
        app.install.emplace();
        app.install->run.text = "npm ci";
        app.install->keep = {"node_modules"};
        app.migrate.emplace();
        app.migrate->run.text = "npm run migrate";
        app.database.engine = config::DatabaseEngine::postgres;
        app.database.source = "shop_dev";
        spec.life = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        spec.app = "shop";
        spec.key = "DEMO-1";
        spec.commit = std::string(40, 'a');
        spec.mirror = "st-abcdef-shop-0123456789ab";
        spec.host = "localhost";
        spec.ports = {{"web", 5100}, {"api", 5200}};
        spec.template_name = "st-abcdef-tmpl-shop-0123456789ab";
        spec.dependency_tree = "st-abcdef-deps-shop-0123456789ab";
        choose_names(spec, app, "abcdef");
        layout.data = "/data";
        layout.previews = "/data/previews";
    }
    plan::Graph plan() const { return make_plan(spec, app, layout, world); }
    static const plan::Node& node(const plan::Graph& graph, const std::string& id) {
        const auto found = std::ranges::find(graph.nodes, id, &plan::Node::id);
        EXPECT_NE(found, graph.nodes.end()) << id;
        return *found;
    }
    static std::vector<std::string> ids(const plan::Graph& graph) {
        std::vector<std::string> all;
        for (const auto& each : graph.nodes) {
            all.push_back(each.id);
        }
        return all;
    }
    // As after a successful start of the present spec.
    void stands() {
        for (const auto& each : plan().nodes) {
            world.owned.push_back(each.ref);
            if (each.ref.type == "process") {
                world.seen[each.ref] = {plan::Presence::ready, plan::spec_hash(*each.spec), ""};
            }
        }
        std::erase_if(world.owned, [](const plan::Ref& ref) {
            return ref.type == "health" || ref.type == "migration" || ref.type == "pg-template" ||
                   ref.type == "dep-tree";
        });
    }
    config::App app;
    Spec spec;
    Layout layout;
    World world;
};

TEST_F(PlanTest, AFirstStartDoesIndependentThingsSideBySide) {
    const auto graph = plan();
    EXPECT_EQ(graph.name, "up");
    EXPECT_THAT(ids(graph), UnorderedElementsAre("template", "role", "database", "ref", "deps",
                                                 "tree", "mount", "migrate", "start.web",
                                                 "health.web", "start.api", "health.api"));
    EXPECT_THAT(node(graph, "tree").after, Not(Contains("deps")));
    EXPECT_THAT(node(graph, "database").after, UnorderedElementsAre("template", "role"));
    EXPECT_THAT(node(graph, "migrate").after, IsSupersetOf({"mount", "database"}));
    EXPECT_THAT(node(graph, "start.api").after, Contains("migrate"));
}

TEST_F(PlanTest, ASecondPlanForTheSameSpecStopsNothing) {
    stands();
    const auto graph = plan();
    EXPECT_EQ(graph.name, "up");
    EXPECT_THAT(ids(graph), Not(Contains("stop.web")));
    EXPECT_THAT(ids(graph), Not(Contains("old.0")));
}

TEST_F(PlanTest, AnUpdateStopsOnlyAfterAllThatCanFailWithoutIt) {
    stands();
    spec.commit = std::string(40, 'b');
    const auto graph = plan();
    EXPECT_EQ(graph.name, "update");
    for (const char* stop : {"stop.web", "stop.api"}) {
        EXPECT_EQ(node(graph, stop).op, plan::Op::destroy);
        EXPECT_THAT(node(graph, stop).after, IsSupersetOf({"ref", "deps", "template", "database"}));
    }
    EXPECT_THAT(node(graph, "tree").after, IsSupersetOf({"stop.web", "stop.api", "deps"}));
    EXPECT_THAT(node(graph, "migrate").after, IsSupersetOf({"tree", "stop.web"}));
}

TEST_F(PlanTest, AFreshDatabaseIsReadyBeforeTheStopAndTheOldOneGoesLast) {
    stands();
    const std::string old = spec.names.database;
    spec.names.database.clear();
    spec.database_serial = 1;
    choose_names(spec, app, "abcdef");
    ASSERT_NE(spec.names.database, old);
    const auto graph = plan();
    EXPECT_THAT(node(graph, "database").after, Not(Contains("stop.web")));
    const auto& removal = node(graph, "old.0");
    EXPECT_EQ(removal.ref.name, old);
    EXPECT_EQ(removal.op, plan::Op::destroy);
    EXPECT_THAT(removal.after, IsSupersetOf({"health.web", "health.api"}));
}

TEST_F(PlanTest, AComponentThatTheCommitNoLongerHasIsStoppedBeforeTheTreeMoves) {
    stands();
    const std::string run = spec.names.runs.at("api");
    app.components.pop_back();
    spec.commit = std::string(40, 'b');
    spec.ports.erase("api");
    const auto graph = plan();
    EXPECT_THAT(node(graph, "tree").after, Contains("stop." + run));
}

TEST_F(PlanTest, AWebOnlyAppNeedsNeitherDatabaseNorInstall) {
    app.database = {};
    app.install.reset();
    app.migrate.reset();
    app.components.pop_back();
    spec.template_name.clear();
    spec.dependency_tree.clear();
    spec.ports.erase("api");
    EXPECT_THAT(ids(plan()), UnorderedElementsAre("ref", "tree", "start.web", "health.web"));
}

TEST_F(PlanTest, TellsComponentsWhereTheyAreAndNoSecret) {
    const auto graph = plan();
    const auto environment = node(graph, "start.api").spec->at("environment");
    const auto& set = environment.at("set");
    EXPECT_EQ(set.at("PORT"), "5200");
    EXPECT_EQ(set.at("WEB_URL"), "http://localhost:5100");
    EXPECT_EQ(set.at("PREVIEW_COMMIT"), spec.commit);
    EXPECT_FALSE(set.contains("DATABASE_URL"));
    EXPECT_EQ(environment.at("database").at("role"), spec.names.role);
}

TEST_F(PlanTest, SpecsSurviveTheirJson) {
    const auto again = parse_spec(render_spec(spec));
    ASSERT_TRUE(again);
    EXPECT_EQ(render_spec(*again), render_spec(spec));
    EXPECT_FALSE(parse_spec(R"({"version": 99})"));
    EXPECT_FALSE(parse_spec("[]"));
    EXPECT_FALSE(parse_spec("not json"));
}

TEST_F(PlanTest, NamesStayAsChosenAndFitEveryStore) {
    const Names before = spec.names;
    choose_names(spec, app, "zzzzzz");
    EXPECT_EQ(spec.names.tree, before.tree);
    Spec hostile;
    hostile.life = spec.life;
    hostile.key = "'; DROP DATABASE x; -- $(reboot) ../../" + std::string(200, 'A');
    choose_names(hostile, app, "abcdef");
    EXPECT_LE(hostile.names.database.size(), 48U);
    EXPECT_EQ(hostile.names.database.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"),
              std::string::npos);
}

}    // namespace
}    // namespace seatrial::preview::local
