// The life of a tree.
#include "git/ref_files.h"
#include "resource/settled_index.h"
#include "resource/worktree_fixture.h"

namespace seatrial::resource {
namespace {

TEST_P(WorktreeWorlds, LivesMovesAndGoes) {
    in_child([](const fs::path& base) {
        const House house(base);
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::absent);
        house.create(house.spec(house.first));
        EXPECT_EQ(house.read("a"), "one\n");
        const std::string owner =
            std::to_string(house.runner->privileged() ? house.runner->uid_of(3) : ::geteuid());
        for (const char* path : {"tree", "tree/a", "tree/.git", "git", "git/HEAD", "git/index"}) {
            EXPECT_EQ(house.owner_of(house.home() / path), owner) << path;
        }
        EXPECT_EQ(house.owner_of(house.home()), std::to_string(::geteuid()));
        EXPECT_EQ(house.type->list("host", soon()).value(), std::vector<std::string>{house.name()});
        const auto made = fs::last_write_time(house.home() / "spec");
        house.create(house.spec(house.first));
        EXPECT_EQ(fs::last_write_time(house.home() / "spec"), made) << "done twice";

        house.app("mkdir node_modules; echo dep > node_modules/m; echo local > a");
        house.create(house.spec(house.second));
        EXPECT_EQ(house.read("a"), "two\n");
        EXPECT_FALSE(fs::exists(house.tree() / "gone"));
        EXPECT_EQ(house.read("node_modules/m"), "dep\n");
        house.create(house.spec(house.first));
        EXPECT_TRUE(fs::exists(house.tree() / "gone"));

        const auto removal = house.destroy();
        EXPECT_EQ(removal.note, "moved to trash");
        EXPECT_GT(removal.trash_bytes, 0);
        EXPECT_EQ(house.trash(), std::vector<std::string>{house.name() + "-0"});
        EXPECT_EQ(house.destroy().note, "was not there");
        house.create(house.spec(house.second));
        house.destroy();
        EXPECT_EQ(house.trash().size(), 2U);
        EXPECT_TRUE(house.type->list("host", soon()).value().empty());
    });
}

TEST_P(WorktreeWorlds, UnsavedWorkIsKept) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app(
            "echo changed > a; echo new > 'new file'; mkdir node_modules; echo x > node_modules/m");
        const auto removal = house.destroy();
        EXPECT_NE(removal.note.find("refs/st/salvage/" + house.name()), std::string::npos)
            << removal.note;
        const auto saved =
            git::read_ref(house.mirror().folder(), "refs/st/salvage/" + house.name()).value();
        ASSERT_FALSE(saved.empty());
        EXPECT_EQ(house.mirror().read_blob(saved, "a", soon()).value(), "changed\n");
        EXPECT_EQ(house.mirror().read_blob(saved, "new file", soon()).value(), "new\n");
        EXPECT_FALSE(house.mirror().read_blob(saved, "node_modules/m", soon()));
    });
}

// Same size, same second as the checkout: git's own look at whole seconds would not see it.
TEST_P(WorktreeWorlds, AChangeRightAfterTheCheckoutIsKept) {
    in_child([](const fs::path& base) {
        const House house(base);
        const fs::path copy = base / "index";
        for (int round = 0; round < 5; ++round) {
            house.create(house.spec(house.first));
            const std::string index = json::parse(slurp(house.home() / "spec")).at("index");
            const auto settled = [&] {
                const auto size = measure_tree(house.tree(), soon(), index_time(house.home()));
                return copy_settled_index(house.home(), index, size, copy);
            };
            EXPECT_TRUE(settled());
            EXPECT_FALSE(copy_settled_index(house.home(), "another", TreeSize(), copy));
            house.app("printf 'eno\\n' > a");
            const auto before = index_time(house.home());
            struct stat changed{};
            ASSERT_EQ(::lstat((house.tree() / "a").c_str(), &changed), 0);
            EXPECT_NE(settled(), changed.st_ctim.tv_sec == before.tv_sec);
            EXPECT_NE(house.destroy().note.find("refs/st/salvage/"), std::string::npos) << round;
        }
    });
}

// There the app and the mirror have one user, so it can commit.
TEST_P(WorktreeWithoutRoot, LocalCommitsAreKeptWhenTheTreeMoves) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app(
            "echo mine > a; GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@y GIT_COMMITTER_NAME=x "
            "GIT_COMMITTER_EMAIL=x@y git commit -qam mine");
        const std::string local = git::worktree_head(house.home());
        ASSERT_NE(local, house.first);
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::partial);
        std::string told;
        const auto made = house.type->create(
            house.ref(), house.spec(house.second), [&told](std::string_view line) { told = line; },
            soon());
        ASSERT_TRUE(made) << render_error(made.error());
        EXPECT_NE(told.find("local commits kept"), std::string::npos) << told;
        EXPECT_EQ(house.mirror().read_blob(local, "a", soon()).value(), "mine\n");
        EXPECT_EQ(git::read_ref(house.mirror().folder(), "refs/st/salvage/" + house.name()).value(),
                  local);
        house.destroy();
    });
}

TEST_P(WorktreeWorlds, FreshDropsWhatIsIgnoredToo) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app("mkdir node_modules; echo dep > node_modules/m; echo u > untracked");
        json fresh = house.spec(house.second);
        fresh["fresh"] = true;
        house.create(fresh);
        EXPECT_FALSE(fs::exists(house.tree() / "node_modules"));
        EXPECT_FALSE(fs::exists(house.tree() / "untracked"));
        house.app("mkdir node_modules");
        house.create(fresh);    // the same wish again keeps what stands
        EXPECT_TRUE(fs::exists(house.tree() / "node_modules"));
        house.destroy();
    });
}

TEST_P(WorktreeWorlds, AnotherSlotAndAnotherRepository) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first, 3));
        house.create(house.spec(house.first, 4));
        if (house.runner->privileged()) {
            EXPECT_EQ(house.owner_of(house.tree() / "a"), std::to_string(house.runner->uid_of(4)));
        }
        const git::Mirror other = house.mirror("other.git");
        ASSERT_TRUE(other.ensure(soon()));
        house.push(other);
        json moved = house.spec(house.second, 4);
        moved["mirror"] = "other.git";
        house.create(moved);
        EXPECT_EQ(slurp(house.home() / "git/commondir"), other.folder().string() + "\n");
        EXPECT_FALSE(fs::exists(house.tree() / "gone"));
        house.destroy();
    });
}

std::vector<bool> worlds() {
    return ::geteuid() == 0 ? std::vector<bool>{false, true} : std::vector<bool>{false};
}
std::vector<bool> root_world() {
    return ::geteuid() == 0 ? std::vector<bool>{true} : std::vector<bool>{};
}
std::string world_name(const testing::TestParamInfo<bool>& about) {
    return about.param ? "Root" : "Ordinary";
}
INSTANTIATE_TEST_SUITE_P(Worlds, WorktreeWorlds, testing::ValuesIn(worlds()), world_name);
INSTANTIATE_TEST_SUITE_P(Worlds, WorktreeWithoutRoot, testing::Values(false), world_name);
INSTANTIATE_TEST_SUITE_P(Worlds, WorktreeAsRoot, testing::ValuesIn(root_world()), world_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WorktreeAsRoot);

}    // namespace
}    // namespace seatrial::resource
