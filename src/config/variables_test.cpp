#include "config/variables.h"

#include <gmock/gmock.h>

#include "config/config.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

struct Applied {
    App app = app_from_variables({}, "rtb");
    Server server = default_server();
    std::vector<Fault> faults;
};
Applied apply(const Variables& variables, Server server = default_server()) {
    Applied out;
    out.server = std::move(server);
    out.faults = apply_variables(variables, out.app, out.server);
    return out;
}

TEST(Variables, NoneDescribeTheDocumentsSetUp) {
    const App app = app_from_variables({}, "rtb");
    EXPECT_EQ(app.name, "rtb");
    ASSERT_EQ(app.components.size(), 2U);
    EXPECT_EQ(app.components[0].name, "web");
    EXPECT_EQ(app.components[0].run.text, "pnpm dev:web");
    EXPECT_EQ(app.components[0].port, "WEB_PORT");
    EXPECT_EQ(app.components[0].base_port, 5100);
    EXPECT_EQ(app.components[1].run.text, "pnpm dev:api");
    EXPECT_EQ(app.components[1].port, "API_PORT");
    EXPECT_EQ(app.components[1].base_port, 5200);
    EXPECT_EQ(app.install->run.text, "pnpm install --frozen-lockfile");
    EXPECT_THAT(app.install->key, ElementsAre("pnpm-lock.yaml"));
    EXPECT_EQ(app.install->keep.front(), "node_modules*");
    EXPECT_EQ(app.migrate->run.text, "pnpm db:migrate");
    EXPECT_EQ(app.database.engine, DatabaseEngine::postgres);
    EXPECT_EQ(app.database.source, "rtb_dev");
    const Server server = default_server();
    EXPECT_EQ(server.port_stride, 100);
    EXPECT_EQ(server.host, "localhost");
    EXPECT_TRUE(server.enabled);
    EXPECT_EQ(server.environments.at("int").max, 5);
    EXPECT_EQ(server.environments.at("int").ttl, 24h);
    EXPECT_EQ(server.environments.at("int").provider, "local");
}

TEST(Variables, AllThirteenAndTheClustersTakeEffect) {
    const Variables variables = {
        {"PREVIEW_PROVIDER", "k8s"},
        {"PREVIEW_ENABLED", "false"},
        {"PREVIEW_WEB_BASE_PORT", "6100"},
        {"PREVIEW_API_BASE_PORT", "6200"},
        {"PREVIEW_MAX_INSTANCES", "20"},
        {"PREVIEW_TTL_HOURS", "48"},
        {"PREVIEW_HOST", "previews.example"},
        {"PREVIEW_WORKTREE_PATH", "/srv/previews/"},
        {"PREVIEW_TEMPLATE_DB_NAME", "shop"},
        {"PREVIEW_INSTALL_CMD", "npm ci"},
        {"PREVIEW_MIGRATE_CMD", "npm run migrate"},
        {"PREVIEW_WEB_CMD", "npm run web"},
        {"PREVIEW_API_CMD", "npm run api"},
        {"INT_EKS_CLUSTER_ARN", "kind-rtb-preview"},
        {"STG_EKS_CLUSTER_ARN", "arn:aws:eks:stg"},
        {"STG_EKS_ASSUME_ROLE_ARN", "arn:aws:iam::2:role/x"},
        {"PRD_EKS_CLUSTER_ARN", "arn:aws:eks:prd"},
        {"PRD_EKS_ASSUME_ROLE_ARN", "arn:aws:iam::3:role/x"},
    };
    EXPECT_EQ(variables.size(), variable_table().size());
    const auto [app, server, faults] = apply(variables);
    EXPECT_THAT(faults, IsEmpty());
    EXPECT_EQ(app.components[0].base_port, 6100);
    EXPECT_EQ(app.components[1].base_port, 6200);
    EXPECT_EQ(app.components[0].run.text, "npm run web");
    EXPECT_EQ(app.components[1].run.text, "npm run api");
    EXPECT_EQ(app.install->run.text, "npm ci");
    EXPECT_EQ(app.migrate->run.text, "npm run migrate");
    EXPECT_EQ(app.database.source, "shop");
    EXPECT_FALSE(server.enabled);
    EXPECT_EQ(server.host, "previews.example");
    EXPECT_EQ(server.worktree_path, "/srv/previews");
    const auto& environments = server.environments;
    EXPECT_EQ(environments.at("int").provider, "k8s");
    EXPECT_EQ(environments.at("int").max, 20);
    EXPECT_EQ(environments.at("int").ttl, 48h);
    EXPECT_EQ(environments.at("stg").ttl, 48h);
    EXPECT_EQ(environments.at("int").cluster, "kind-rtb-preview");
    EXPECT_EQ(environments.at("stg").cluster, "arn:aws:eks:stg");
    EXPECT_EQ(environments.at("stg").role, "arn:aws:iam::2:role/x");
    EXPECT_EQ(environments.at("prd").cluster, "arn:aws:eks:prd");
    EXPECT_EQ(environments.at("prd").role, "arn:aws:iam::3:role/x");
    EXPECT_EQ(app_from_variables(variables, "rtb"), app);
}

TEST(Variables, PrdStaysApprovalOnlyAndEightHoursWhateverIsSet) {
    for (const char* hours : {"1", "8", "9", "100"}) {
        const auto applied = apply({{"PREVIEW_TTL_HOURS", hours}});
        EXPECT_EQ(applied.server.environments.at("prd").ttl, 8h);
        EXPECT_TRUE(applied.server.environments.at("prd").approval);
    }
}

TEST(Variables, TheServersFileWinsWhereItIsStricter) {
    const auto server =
        parse_server("environments: {int: {ttl: 10h, max: 3, provider: local}, stg: {ttl: 100h}}",
                     "s")
            .value;
    auto applied = apply(
        {{"PREVIEW_TTL_HOURS", "48"}, {"PREVIEW_MAX_INSTANCES", "20"}, {"PREVIEW_PROVIDER", "k8s"}},
        server);
    EXPECT_THAT(applied.faults, IsEmpty());
    EXPECT_EQ(applied.server.environments.at("int").ttl, 10h);
    EXPECT_EQ(applied.server.environments.at("int").max, 3);
    EXPECT_EQ(applied.server.environments.at("int").provider, "local");
    EXPECT_EQ(applied.server.environments.at("stg").ttl, 48h);
    EXPECT_EQ(applied.server.environments.at("stg").provider, "k8s");
    applied = apply({{"PREVIEW_TTL_HOURS", "2"}, {"PREVIEW_MAX_INSTANCES", "1"}}, server);
    EXPECT_EQ(applied.server.environments.at("int").ttl, 2h);
    EXPECT_EQ(applied.server.environments.at("int").max, 1);
}

TEST(Variables, BadValuesAreFaultsThatNameTheVariable) {
    const std::pair<const char*, const char*> bad[] = {
        {"PREVIEW_PROVIDER", "docke"},
        {"PREVIEW_ENABLED", "maybe"},
        {"PREVIEW_WEB_BASE_PORT", "80"},
        {"PREVIEW_WEB_BASE_PORT", "70000"},
        {"PREVIEW_API_BASE_PORT", "5200x"},
        {"PREVIEW_MAX_INSTANCES", "-1"},
        {"PREVIEW_MAX_INSTANCES", "1e3"},
        {"PREVIEW_TTL_HOURS", "0"},
        {"PREVIEW_TTL_HOURS", "24h"},
        {"PREVIEW_TTL_HOURS", "99999999999999999999"},
        {"PREVIEW_HOST", "http://x"},
        {"PREVIEW_HOST", "a b"},
        {"PREVIEW_WORKTREE_PATH", "previews"},
        {"PREVIEW_WORKTREE_PATH", "/a/../b"},
        {"PREVIEW_WORKTREE_PATH", "/Users/{username}/.rtb-previews"},
        {"PREVIEW_TEMPLATE_DB_NAME", "\xff"},
        {"STG_EKS_ASSUME_ROLE_ARN", "deployer"},
    };
    for (const auto& [name, value] : bad) {
        const auto before = apply({});
        const auto applied = apply({{name, value}});
        ASSERT_EQ(applied.faults.size(), 1U) << name << "=" << value;
        EXPECT_EQ(applied.faults[0].key, name);
        EXPECT_FALSE(applied.faults[0].warning);
        EXPECT_FALSE(applied.faults[0].remedy.empty());
        EXPECT_EQ(applied.app, before.app) << name;
        EXPECT_EQ(applied.server, before.server) << name;
    }
}

TEST(Variables, WhatHasNoTargetIsAWarning) {
    App app = parse_app(
                  "app: a\ncomponents: {site: x}\n"
                  "database: {engine: sqlite, file: a.db}",
                  "f", false)
                  .value;
    const App before = app;
    Server server = default_server();
    const auto faults = apply_variables({{"PREVIEW_WEB_CMD", "x"},
                                         {"PREVIEW_API_BASE_PORT", "6000"},
                                         {"PREVIEW_TEMPLATE_DB_NAME", "x"}},
                                        app, server);
    EXPECT_EQ(faults.size(), 3U);
    EXPECT_THAT(faults, Each(Field(&Fault::warning, true)));
    EXPECT_EQ(app, before);
}

TEST(Variables, OnlyKnownAndNonEmptyOnesAreRead) {
    const auto variables = preview_variables([](const char* name) -> std::optional<std::string> {
        const std::string_view asked = name;
        if (asked == "PREVIEW_HOST") {
            return "h";
        }
        if (asked == "PREVIEW_WEB_CMD") {
            return "";
        }
        EXPECT_TRUE(asked.starts_with("PREVIEW_") || asked.ends_with("_ARN")) << asked;
        return std::nullopt;
    });
    EXPECT_EQ(variables, (Variables{{"PREVIEW_HOST", "h"}}));
}

}    // namespace
}    // namespace seatrial::config
