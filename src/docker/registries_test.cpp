#include "docker/registries.h"

#include <gtest/gtest.h>

namespace seatrial::docker {
namespace {

TEST(Registries, AnImagesNameTellsItsRegistry) {
    EXPECT_EQ(registry_of("nginx:1.27"), "docker.io");
    EXPECT_EQ(registry_of("team/app:1"), "docker.io");
    EXPECT_EQ(registry_of("docker.io/library/nginx"), "docker.io");
    EXPECT_EQ(registry_of("index.docker.io/library/nginx"), "docker.io");
    EXPECT_EQ(registry_of("localhost/app:1"), "localhost");
    EXPECT_EQ(registry_of("ghcr.io/team/app@sha256:12"), "ghcr.io");
    EXPECT_EQ(registry_of("host:5000/app:1"), "host:5000");
}

TEST(Registries, LoginsAsTheirReadersWantThem) {
    Logins logins;
    logins.push_back({"docker.io", "me", Secret("pass")});
    logins.push_back({"host:5000", "ci", Secret("\"quoted\"")});
    EXPECT_EQ(login_for(logins, "nginx:1")->user, "me");
    EXPECT_EQ(login_for(logins, "host:5000/a/b:1")->user, "ci");
    EXPECT_EQ(login_for(logins, "other:5000/a/b:1"), nullptr);
    EXPECT_EQ(registry_config(logins).reveal(),
              R"({"host:5000":{"password":"\"quoted\"","username":"ci"},)"
              R"("https://index.docker.io/v1/":{"password":"pass","username":"me"}})");
    EXPECT_EQ(cli_config(logins).reveal(),
              R"({"auths":{"host:5000":{"auth":"Y2k6InF1b3RlZCI="},)"
              R"("https://index.docker.io/v1/":{"auth":"bWU6cGFzcw=="}}})");
    EXPECT_EQ(cli_config({}).reveal(), R"({"auths":{}})");
}

}    // namespace
}    // namespace seatrial::docker
