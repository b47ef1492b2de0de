// Compose files and nginx.conf as values, and what of them cannot be carried.
#include <gmock/gmock.h>

#include "config/compose.h"
#include "config/nginx.h"

namespace seatrial::config {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

std::vector<std::string> texts(const std::vector<LeftOut>& list) {
    std::vector<std::string> out;
    for (const auto& one : list) {
        out.push_back(one.text("f"));
    }
    return out;
}

TEST(Compose, ReadsBothFormsOfEverything) {
    const auto compose = read_compose(R"(
name: shop
x-env: &env { LEVEL: "${LEVEL:-info}", PRICE: "5$$" }
services:
  api:
    build: { context: ./api, dockerfile: docker/api, target: run, args: [A=1] }
    command: ["node", "api.js"]
    ports: ["127.0.0.1:4000:3000/tcp", { target: 3001, published: "4001" }]
    expose: [9000]
    env_file: [./a.env, { path: ./b.env, required: false }]
    environment: *env
    volumes: ["./keys:/app/keys:ro", "data:/data", { type: bind, source: /srv/x, target: /x, read_only: true }]
    profiles: [production]
    healthcheck: { test: "curl -f http://localhost:3000/healthz || exit 1" }
    deploy: { replicas: 3 }
    restart: always
  web: { image: "shop-web:1.2", environment: [MODE=fast, ODD], env_file: web.env }
)",
                                      "f");
    ASSERT_TRUE(compose.readable);
    EXPECT_THAT(texts(compose.left_out), IsEmpty());
    EXPECT_EQ(compose.project, "shop");
    ASSERT_EQ(compose.services.size(), 2U);
    const auto& api = compose.services[0];
    EXPECT_EQ(api.build->context, "api");
    EXPECT_EQ(api.build->file, "docker/api");
    EXPECT_EQ(api.build->target, "run");
    EXPECT_THAT(api.build->args, ElementsAre(Pair("A", "1")));
    EXPECT_THAT(api.command.argv, ElementsAre("node", "api.js"));
    EXPECT_THAT(api.ports, ElementsAre(ComposePort{4000, 3000}, ComposePort{4001, 3001},
                                       ComposePort{0, 9000}));
    EXPECT_THAT(api.env_files, ElementsAre("./a.env", "./b.env"));
    EXPECT_THAT(api.environment, UnorderedElementsAre(Pair("LEVEL", "info"), Pair("PRICE", "5$")));
    ASSERT_EQ(api.volumes.size(), 3U);
    EXPECT_TRUE(api.volumes[0].read_only && api.volumes[0].is_folder());
    EXPECT_TRUE(!api.volumes[1].read_only && !api.volumes[1].is_folder());
    EXPECT_TRUE(api.volumes[2].read_only && api.volumes[2].source == "/srv/x");
    EXPECT_THAT(api.profiles, ElementsAre("production"));
    EXPECT_EQ(api.health, "/healthz");
    EXPECT_EQ(api.instances, 3);
    const auto& web = compose.services[1];
    EXPECT_EQ(web.image, "shop-web:1.2");
    EXPECT_THAT(web.environment, UnorderedElementsAre(Pair("MODE", "fast"), Pair("ODD", "")));
    EXPECT_THAT(web.env_files, ElementsAre("web.env"));
}

TEST(Compose, SaysWhatItCannotCarryAndWhere) {
    const auto compose = read_compose(R"(services:
  api:
    image: "shop:${TAG}"
    privileged: true
    ports: ["4000-4010:3000", "53:53/udp"]
    volumes: ["~/x:/x"]
    volumes_from: [web]
)",
                                      "f");
    EXPECT_THAT(texts(compose.left_out),
                ElementsAre(HasSubstr("f:3: services.api.image is not carried over: the value of "
                                      "$TAG"),
                            HasSubstr("f:4: services.api.privileged"),
                            HasSubstr("give each port by itself"), HasSubstr("only HTTP"),
                            HasSubstr("f:6: services.api.volumes"),
                            HasSubstr("f:7: services.api.volumes_from")));
    EXPECT_FALSE(read_compose("a: 1", "f").readable);
    EXPECT_FALSE(read_compose("services: [", "f").readable);
}

TEST(Nginx, ReadsServersUpstreamsAndRoutes) {
    const auto nginx = read_nginx(R"(
# a comment; with { signs
upstream api { least_conn; server api-1:3000 weight=2; server api-2:3000; }
server {
  listen [::]:80; listen 80; listen 4500 ssl http2;
  server_name "shop.example" _;
  ssl_certificate /etc/a.crt; ssl_certificate_key /etc/a.key;
  location / { proxy_pass http://web:8080; proxy_set_header Host "a;b{c}"; }
  location ^~ /api/ { proxy_pass http://api; }
}
)");
    EXPECT_EQ(nginx.fault, "");
    ASSERT_EQ(nginx.servers.size(), 1U);
    const auto& server = nginx.servers[0];
    EXPECT_THAT(server.ports, ElementsAre(80, 4500));
    EXPECT_THAT(server.names, ElementsAre("shop.example"));
    EXPECT_EQ(server.certificate + server.certificate_key, "/etc/a.crt/etc/a.key");
    ASSERT_EQ(server.routes.size(), 2U);
    EXPECT_EQ(server.routes[0].path + server.routes[0].host, "/web");
    EXPECT_EQ(server.routes[1].path + server.routes[1].host, "/apiapi-1");
    EXPECT_EQ(server.routes[1].port, 3000);
    EXPECT_THAT(texts(nginx.left_out),
                UnorderedElementsAre(HasSubstr("f:3: least_conn"), HasSubstr("further server")));
}

TEST(Nginx, SaysWhatItCannotCarryAndWhere) {
    const auto nginx = read_nginx(R"(http {
  include conf.d/*.conf;
  server {
    location ~ \.php$ { proxy_pass http://php; }
    location = /exact { proxy_pass http://web; }
    location /strip/ { proxy_pass http://web:1/; }
    location /vars { proxy_pass http://$host; }
    location /files { root /srv; }
    location /old { return 301 /new; }
    auth_basic "closed";
  }
})");
    EXPECT_EQ(nginx.fault, "");
    EXPECT_THAT(
        texts(nginx.left_out),
        ElementsAre(HasSubstr("f:2: include conf.d/*.conf"), HasSubstr(R"(f:4: location ~ \.php$)"),
                    HasSubstr("f:5: location = /exact"),
                    HasSubstr("f:6: location /strip/'s other path"),
                    HasSubstr("f:7: proxy_pass http://$host"), HasSubstr("f:8: root /srv"),
                    HasSubstr("f:9: return 301"), HasSubstr("f:10: auth_basic")));
    ASSERT_EQ(nginx.servers.size(), 1U);
    EXPECT_THAT(nginx.servers[0].ports, ElementsAre(80));
    EXPECT_THAT(nginx.servers[0].routes, ElementsAre(Field(&NginxRoute::path, "/strip")));
}

TEST(Nginx, FaultsOfTheFileHaveALine) {
    for (const auto& [text, fault] : std::vector<std::pair<std::string, std::string>>{
             {"a {\n b;", "line 2: the file ends"},
             {"a;\n}", "line 2: a '}'"},
             {"\n;", "line 2: a directive without"},
             {"a \"b", "line 1: the file ends inside of quotes"},
             {"a", "line 1: the file ends"},
             {std::string(2 << 20, ' '), "more than 1 MB"}}) {
        EXPECT_THAT(read_nginx(text).fault, HasSubstr(fault)) << text.substr(0, 20);
    }
    std::string deep;
    for (int i = 0; i < 30; ++i) {
        deep += "a {";
    }
    EXPECT_THAT(read_nginx(deep).fault, HasSubstr("20 levels"));
}

}    // namespace
}    // namespace seatrial::config
