// Compose files and nginx.conf that `init` takes over.
#include <gmock/gmock.h>

#include "config/init_fixture.h"

namespace seatrial::config {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;

const Files hub = {
    {"docker-compose.yml", R"(
x-base: &base { restart: always, depends_on: [postgres] }
services:
  manager-staging:
    <<: *base
    profiles: [staging]
    build: { context: ./manager, args: { MODE: fast } }
    environment: { SALES: "http://sales-staging:4010", LEVEL: debug, KIND: hub }
    env_file: [./config/.env.common, ./config/.env.staging]
    volumes: ["./config/keys:/app/keys:ro", "uploads-staging:/app/uploads"]
  manager-prod:
    <<: *base
    profiles: [production]
    image: manager:production
    environment: { SALES: "http://sales-prod:4010", LEVEL: info, KIND: hub, SESSION_SECRET: x }
    env_file: [./config/.env.common, ./config/.env.production]
    volumes: ["./config/keys:/app/keys:ro", "uploads:/app/uploads"]
  sales-staging: { profiles: [staging], build: ./sales, privileged: true }
  sales-prod: { profiles: [production], build: ./sales }
  nginx: { image: "nginx:1.25", ports: ["4400:8080", "4500:4500", "80:80"] }
  postgres: { image: "postgres:15", environment: [POSTGRES_DB=hub] }
)"},
    {"nginx/nginx.conf", R"(
http {
  upstream manager { server manager-staging:4090; }
  server { listen 8080; location / { proxy_pass http://manager; }
           location /saleshub/ { proxy_pass http://sales-staging:4010; } }
  server { listen 4500; listen 80; gzip on; location / { proxy_pass http://manager-prod:4090; }
           location /saleshub { proxy_pass http://sales-prod:4010; } }
}
)"},
    {"config/keys/jwt_private.pem", "x"},
    {"manager/Dockerfile", "FROM node:20\nCMD [\"node\", \"server/index.js\", \"two words\"]\n"},
    {"sales/Dockerfile", "FROM node:20\nEXPOSE 9999/tcp\nCMD npm start\n"}};

TEST_F(Init, ComposeAndNginxBecomeComponentsAndEnvironments) {
    const auto app = inspect(hub);
    ASSERT_THAT(names(app), ElementsAre("manager", "sales"));
    const auto& manager = app.components[0];
    EXPECT_EQ(manager.run.text, "node server/index.js 'two words'");
    EXPECT_EQ(manager.build->context, "manager");
    EXPECT_EQ(manager.build->args.at("MODE"), "fast");
    EXPECT_EQ(manager.container_port, 4090);
    EXPECT_EQ(manager.path, "/");
    // The same in both environments; what differs is the server's.
    EXPECT_THAT(manager.env,
                UnorderedElementsAre(Pair("SALES", "http://sales:4010"), Pair("KIND", "hub")));
    EXPECT_THAT(manager.volumes, ElementsAre(Pair("uploads", "/app/uploads")));
    EXPECT_EQ(app.components[1].path, "/saleshub");
    EXPECT_EQ(app.components[1].run.text, "npm start");
    EXPECT_EQ(app.database.source, "hub");
    EXPECT_EQ(app.components[1].container_port, 4010);

    const auto server = parse_server(findings_.server_yaml, "server.yaml", false);
    ASSERT_TRUE(server.ok()) << findings_.server_yaml;
    const auto& stg = server.value.environments.at("stg");
    const auto& prd = server.value.environments.at("prd");
    EXPECT_THAT(stg.release.listen, ElementsAre("4400"));
    EXPECT_THAT(prd.release.listen, ElementsAre("4500", "80"));
    const std::string config = root_ / "config";
    EXPECT_THAT(prd.release.env_files,
                ElementsAre(config + "/.env.common", config + "/.env.production"));
    EXPECT_EQ(stg.release.key_files.at("jwt-private-pem"),
              (KeyFile{config + "/keys/jwt_private.pem", "/app/keys/jwt_private.pem"}));
    EXPECT_EQ(stg.release.volumes.at("uploads").source, "shop_uploads-staging");
    EXPECT_EQ(prd.release.volumes.at("uploads").source, "shop_uploads");
    EXPECT_THAT(prd.release.networks, ElementsAre("shop_default"));
    EXPECT_EQ(stg.env.at("LEVEL"), "debug");
    EXPECT_EQ(prd.env.at("LEVEL"), "info");
    EXPECT_TRUE(prd.approval);

    EXPECT_THAT(findings_.questions,
                IsSupersetOf({HasSubstr("SESSION_SECRET of 'manager'"),
                              HasSubstr("docker-compose.yml:18: services.sales-staging.privileged"),
                              HasSubstr("nginx/nginx.conf:6: gzip on")}));
    EXPECT_THAT(findings_.yaml + findings_.server_yaml, Not(HasSubstr("SESSION_SECRET")));
}

TEST_F(Init, AComposeFileAloneGivesTheUsualPorts) {
    const auto app = inspect({{"compose.yaml", R"(
services:
  web: { build: ., ports: ["8000:3000"], volumes: ["./data:/data", "/anonymous"] }
  worker: { build: ., command: [python, worker.py] }
)"},
                              {"Dockerfile", "FROM python:3.11\nCMD python app.py\n"}});
    ASSERT_THAT(names(app), ElementsAre("web", "worker"));
    EXPECT_EQ(app.components[0].container_port, 3000);
    EXPECT_TRUE(app.components[1].port.empty());
    EXPECT_EQ(app.components[1].run.text, "python worker.py");
    const auto server = parse_server(findings_.server_yaml, "server.yaml", false);
    EXPECT_THAT(server.value.environments.at("stg").release.listen, ElementsAre("4400"));
    EXPECT_EQ(server.value.environments.at("prd").release.volumes.at("data").source,
              (root_ / "data").string());
    EXPECT_THAT(findings_.questions,
                IsSupersetOf({HasSubstr("does not tell staging and production apart"),
                              HasSubstr("a volume without a name")}));
}

TEST_F(Init, OddComposeFilesStillGiveAValidFile) {
    inspect({{"docker-compose.yml", R"(
services:
  "ä b/c": { build: ../outside, environment: { A: "x: #y", "b c": 1 } }
  "1": { image: "x:latest", ports: ["1:2"], volumes: ["$$x:/y", "v:/"] }
  -: { command: "it's", build: { dockerfile: ../../etc/passwd } }
  prod: {}
  w-prod: [1]
)"},
             {"nginx.conf", "server { location /a { proxy_pass http://nobody; } }"}});
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("built from outside of this repository")));
    EXPECT_THAT(findings_.questions, Contains(HasSubstr("'nobody', which is no component")));
}

}    // namespace
}    // namespace seatrial::config
