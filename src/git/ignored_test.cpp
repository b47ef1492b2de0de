#include "git/ignored.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "git/run.h"
#include "support/temp_dir.h"

namespace seatrial::git {
namespace {

Context soon() {
    return Context().with_timeout(std::chrono::seconds(20));
}

TEST(PlaceOf, TellsWhatGitWouldPublish) {
    test::TempDir folder;
    const auto tree = folder.path() / "tree";
    ASSERT_TRUE(make_dirs(tree / "config"));
    for (const char* name :
         {".env.staging", "config/.env.common", "config/.env.production", "*.pem"}) {
        ASSERT_TRUE(write_file_atomic(tree / name, "A=1\n"));
    }
    ASSERT_TRUE(write_file_atomic(folder.path() / ".env", "A=1\n"));
    EXPECT_EQ(*place_of(tree / ".env.staging", soon()), Place::outside);
    const auto git = [&](std::vector<std::string> args) {
        Call call;
        call.cwd = tree;
        call.args = std::move(args);
        call.env = closed_env();
        EXPECT_TRUE(run_git_checked(std::move(call), "git", soon()));
    };
    git({"init", "-q"});
    ASSERT_TRUE(write_file_atomic(tree / ".gitignore", ".env.production\n"));
    git({"add", "config/.env.common"});
    EXPECT_EQ(*place_of(tree / "config/.env.common", soon()), Place::tracked);
    EXPECT_EQ(*place_of(tree / "config/.env.production", soon()), Place::ignored);
    EXPECT_EQ(*place_of(tree / ".env.staging", soon()), Place::untracked);
    EXPECT_EQ(*place_of(tree / "*.pem", soon()), Place::untracked);
    EXPECT_EQ(*place_of(folder.path() / ".env", soon()), Place::outside);
    EXPECT_EQ(*place_of("relative", soon()), Place::outside);
    git({"add", "-f", "*.pem", ".env.staging"});
    EXPECT_EQ(*tracked_env_files(tree, soon()),
              (std::vector<std::string>{".env.staging", "config/.env.common"}));
    EXPECT_TRUE(tracked_env_files(folder.path(), soon())->empty());
}

TEST(PlaceOf, ABrokenRepositoryIsAnError) {
    test::TempDir folder;
    ASSERT_TRUE(make_dirs(folder.path() / ".git"));
    ASSERT_TRUE(write_file_atomic(folder.path() / ".env", "A=1\n"));
    EXPECT_FALSE(place_of(folder.path() / ".env", soon()));
}

}    // namespace
}    // namespace seatrial::git
