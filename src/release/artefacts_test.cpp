#include "release/artefacts.h"

#include <gtest/gtest.h>

namespace seatrial::release {
namespace {

TEST(Artefacts, SecretArgumentsAreNotShown) {
    const std::map<std::string, std::string> arguments = {{"NPM_TOKEN", "hush-hush"},
                                                          {"MODE", "production"},
                                                          {"PRIVATE_KEY", "one-line\ntwo-line\nx"},
                                                          {"URL", "https://me:pass@host/"},
                                                          {"API_TOKEN", ""}};
    EXPECT_EQ(without_secrets("RUN login hush-hush hush-hush!", arguments), "RUN login *** ***!");
    EXPECT_EQ(without_secrets("echo two-line; echo x", arguments), "echo ***; echo x");
    EXPECT_EQ(without_secrets("get https://me:pass@host/", arguments), "get ***");
    EXPECT_EQ(without_secrets("npm run build:production", arguments), "npm run build:production");
}

TEST(Artefacts, RepositoriesAreNamedByAppAndPart) {
    EXPECT_EQ(image_repository("Shop", "web"), "shop-web");
}

}    // namespace
}    // namespace seatrial::release
