#include "preview/docker/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace seatrial::preview::docker {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

struct DockerPlanTest : testing::Test {
    DockerPlanTest() {
        for (const char* name : {"web", "api"}) {
            config::Component component;
            component.name = name;
            component.build.emplace();
            component.build->target = name;
            component.port = name == std::string("web") ? "WEB_PORT" : "API_PORT";
            component.health = config::Health{"/", std::chrono::seconds(60)};
            app.components.push_back(component);
        }
        app.name = "shop";
        app.migrate.emplace();
        app.migrate->run.argv = {"node", "migrate.js"};
        app.database.engine = config::DatabaseEngine::postgres;
        spec.life = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        spec.app = "shop";
        spec.key = "DEMO-1";
        spec.commit = std::string(40, 'a');
        spec.mirror = "st-abcdef-shop-0123456789ab";
        spec.host = "localhost";
        spec.memory_bytes = 64 << 20;
        spec.pids = 50;
        spec.ports = {{"web", 5100}, {"api", 5200}};
        spec.template_name = "st-abcdef-tmpl-shop-0123456789ab";
        choose_names(spec, app, "abcdef");
        spec.images = choose_images(spec, app, "abcdef");
        layout.data = "/data";
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
            if (each.ref.type == "docker-health" || each.ref.type == "pg-template") {
                continue;
            }
            world.owned.push_back(each.ref);
            if (each.ref.type == "docker-container") {
                world.seen[each.ref] = {plan::Presence::ready, plan::spec_hash(*each.spec), ""};
            }
        }
    }
    void move_on() {
        spec.commit = std::string(40, 'b');
        spec.images = choose_images(spec, app, "abcdef");
    }
    config::App app;
    Spec spec;
    Layout layout;
    World world;
};

TEST_F(DockerPlanTest, AFirstStartBuildsClonesAndStarts) {
    const auto graph = plan();
    EXPECT_EQ(graph.name, "up");
    EXPECT_THAT(ids(graph), UnorderedElementsAre("ref", "template", "role", "database", "network",
                                                 "image.web", "image.api", "migrate", "start.web",
                                                 "health.web", "start.api", "health.api"));
    EXPECT_THAT(node(graph, "start.web").after,
                IsSupersetOf({"migrate", "network", "image.web", "database"}));
    EXPECT_THAT(node(graph, "image.web").after, UnorderedElementsAre("ref"));
}

TEST_F(DockerPlanTest, AContainerIsPublishedAtItsSlotAndLimited) {
    const auto graph = plan();
    const auto& web = *node(graph, "start.web").spec;
    EXPECT_EQ(web.at("ports").dump(), R"([{"container":5100,"host":5100}])");
    EXPECT_EQ(web.at("limits").at("memory"), 64 << 20);
    EXPECT_EQ(web.at("limits").at("pids"), 50);
    EXPECT_FALSE(web.contains("argv")) << "the image knows its command";
    const auto& set = web.at("environment").at("set");
    EXPECT_EQ(set.at("API_URL"), "http://localhost:5200");
    EXPECT_EQ(set.at("API_INTERNAL_URL"), "http://api:5200");
    EXPECT_FALSE(set.contains("DATABASE_URL"));
    EXPECT_EQ(web.at("environment").at("database").at("role"), spec.names.role);
}

TEST_F(DockerPlanTest, AFixedPortIsWhereItListensInsideAndItsSlotWhereItIsPublished) {
    app.components[1].container_port = 3000;
    const auto graph = plan();
    EXPECT_EQ(node(graph, "start.api").spec->at("ports").dump(),
              R"([{"container":3000,"host":5200}])");
    EXPECT_EQ(node(graph, "health.api").spec->at("port"), 5200);
    EXPECT_EQ(node(graph, "health.api").spec->at("inside"), 3000);
    const auto& set = node(graph, "start.web").spec->at("environment").at("set");
    EXPECT_EQ(set.at("API_URL"), "http://localhost:5200");
    EXPECT_EQ(set.at("API_INTERNAL_URL"), "http://api:3000");
    EXPECT_EQ(set.at("API_PORT"), "3000");
    EXPECT_EQ(node(graph, "start.api").spec->at("environment").at("set").at("PORT"), "3000");
}

TEST_F(DockerPlanTest, AStaticComponentIsBuiltAroundItsFiles) {
    config::Component& web = app.components[0];
    web.build.reset();
    web.image.clear();
    web.site = config::StaticSite{.context = "fe", .folder = "dist", .run = {}, .image = ""};
    spec.images = choose_images(spec, app, "abcdef");
    const auto graph = plan();
    const auto& image = *node(graph, "image.web").spec;
    EXPECT_EQ(image.at("context"), "fe");
    EXPECT_TRUE(image.at("files").contains(image.at("dockerfile").get<std::string>()));
    EXPECT_EQ(node(graph, "start.web").spec->at("ports").dump(),
              R"([{"container":8080,"host":5100}])");
}

TEST_F(DockerPlanTest, TheMigrationRunsInTheImageThatIsNamed) {
    EXPECT_EQ(node(plan(), "migrate").spec->at("image"), spec.images.at("web"));
    app.migrate->component = "api";
    EXPECT_EQ(node(plan(), "migrate").spec->at("image"), spec.images.at("api"));
}

TEST_F(DockerPlanTest, OneImageForAllThatWantTheSame) {
    app.components[1].build->target = "web";
    spec.images = choose_images(spec, app, "abcdef");
    const auto graph = plan();
    EXPECT_EQ(spec.images.at("web"), spec.images.at("api"));
    EXPECT_THAT(ids(graph), Not(Contains("image.api")));
    EXPECT_THAT(node(graph, "start.api").after, Contains("image.web"));
}

TEST_F(DockerPlanTest, AnUpdateStopsOnlyAfterAllThatCanFailAndDropsOldImagesLast) {
    stands();
    EXPECT_THAT(ids(plan()), Not(Contains("stop.web")));
    EXPECT_THAT(ids(plan()), Not(Contains("old.0")));
    const std::string old = spec.images.at("web");
    move_on();
    const auto graph = plan();
    EXPECT_EQ(graph.name, "update");
    EXPECT_THAT(node(graph, "stop.web").after,
                IsSupersetOf({"image.web", "image.api", "database", "network"}));
    EXPECT_THAT(node(graph, "migrate").after, IsSupersetOf({"stop.web", "stop.api"}));
    bool dropped = false;
    for (const auto& each : graph.nodes) {
        if (each.ref.name == old) {
            dropped = each.op == plan::Op::destroy;
            EXPECT_THAT(each.after, IsSupersetOf({"start.web", "health.web", "health.api"}));
        }
    }
    EXPECT_TRUE(dropped);
}

TEST_F(DockerPlanTest, WhatAnotherProviderStartedStopsBeforeItsPortIsWanted) {
    const plan::Ref process{"process", "host", spec.names.runs.at("web")};
    world.owned = {process, {"worktree", "host", spec.names.tree}};
    world.seen[process] = {plan::Presence::ready, "x", ""};
    const auto graph = plan();
    const auto& stop = node(graph, "stop." + process.name);
    EXPECT_EQ(stop.op, plan::Op::destroy);
    EXPECT_THAT(node(graph, "start.web").after, Contains(stop.id));
}

}    // namespace
}    // namespace seatrial::preview::docker
