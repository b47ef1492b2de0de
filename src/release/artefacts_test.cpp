#include "release/artefacts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "support/temp_dir.h"

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

TEST(Artefacts, APasswordIsReadFromAFileOfOursAlone) {
    const test::TempDir dir;
    const auto file = dir.path() / "password";
    const std::map<std::string, config::Registry> registries = {
        {"host:5000", {"ci", file.string()}}};
    const auto code = [&] {
        const auto logins = read_logins(registries);
        return logins ? std::string() : std::string(to_string(logins.error().code));
    };
    EXPECT_EQ(code(), "invalid");
    ASSERT_TRUE(write_file_atomic(file, "open-sesame\n", 0640));
    EXPECT_EQ(code(), "refused");
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    const auto logins = read_logins(registries);
    ASSERT_TRUE(logins);
    EXPECT_EQ(logins->at(0).server, "host:5000");
    EXPECT_EQ(logins->at(0).password.reveal(), "open-sesame");
    ASSERT_TRUE(write_file_atomic(file, "\n", 0600));
    EXPECT_EQ(code(), "invalid");
    ASSERT_TRUE(write_file_atomic(file, std::string(20'000, 'x'), 0600));
    const auto long_one = read_logins(registries);
    ASSERT_FALSE(long_one);
    EXPECT_EQ(render_error(long_one.error()).find("xx"), std::string::npos);
    EXPECT_TRUE(read_logins({})->empty());
}

TEST(Artefacts, RepositoriesAreNamedByAppAndPart) {
    EXPECT_EQ(image_repository("Shop", "web"), "shop-web");
}

}    // namespace
}    // namespace seatrial::release
