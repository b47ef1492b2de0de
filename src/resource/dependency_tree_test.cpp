#include "resource/dependency_tree.h"

#include <gmock/gmock.h>

#include <thread>

#include "resource/dependency_fixture.h"
#include "resource/sealed_tree.h"

namespace seatrial::resource {
namespace {

using plan::Presence;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DependencyTreeTest : public DependencyFixture {
protected:
    std::filesystem::path sealed(const std::string& text = "tree") const {
        return data_ / "trees" / name_of(text);
    }
    // What installs wrote into their home, which only their own user may enter.
    std::string counted() {
        const auto tree = std::filesystem::exists(data_ / "previews" / name_of("peek"))
                              ? data_ / "previews" / name_of("peek") / "tree"
                              : add_worktree("peek", 9);
        return sh(tree, 9, "cat " + (data_ / "homes" / "app" / "count").string());
    }
    // Nothing of it is left anywhere but in the trash.
    void expect_nothing(const std::string& text = "tree") {
        EXPECT_EQ(presence(*trees_, tree_ref(text)), Presence::absent);
        EXPECT_THAT(trees_->list("host", soon()).value_or(std::vector<std::string>{"error"}),
                    IsEmpty());
        EXPECT_THAT(runner_->list().value_or(std::vector<std::string>{"error"}), IsEmpty());
    }
};

// Without root all previews are one user, and there are no overlays.
class DependencyTreeTestAsRoot : public DependencyTreeTest {};

TEST_P(DependencyTreeTest, IsInstalledOnceAndSealed) {
    in_child([&] {
        const std::string script =
            "echo installing; echo x >> $HOME/count; mkdir -p node_modules/.bin node_modules/a &&"
            "echo one > node_modules/a/index.js && chmod 0444 node_modules/a/index.js &&"
            "echo run > node_modules/a/cli && chmod 04755 node_modules/a/cli &&"
            "ln -s ../a/cli node_modules/.bin/cli && ln -s /etc node_modules/out &&"
            "mkdir node_modules/closed && echo y > node_modules/closed/f &&"
            "chmod 0500 node_modules/closed && chmod 0555 node_modules &&"
            "test -f package.json && test \"$CI\" = 1";
        const auto spec = tree_spec(script, {"node_modules"});
        std::vector<std::string> told;
        EXPECT_EQ(presence(*trees_, tree_ref()), Presence::absent);
        ASSERT_GOOD(trees_->create(tree_ref(), spec, quiet_, soon()));
        const auto seen = trees_->observe(tree_ref(), soon());
        ASSERT_GOOD(seen);
        EXPECT_EQ(seen->presence, Presence::ready);
        EXPECT_EQ(seen->spec_hash, plan::spec_hash(spec));
        EXPECT_THAT(seen->detail, HasSubstr("5 files"));
        EXPECT_THAT(trees_->list("host", soon()).value(), ElementsAre(name_of("tree")));

        const auto folder = sealed() / "0";
        EXPECT_EQ(slurp(folder / "a" / "index.js"), "one\n");
        EXPECT_EQ(std::filesystem::read_symlink(folder / ".bin" / "cli"), "../a/cli");
        EXPECT_EQ(std::filesystem::read_symlink(folder / "out"), "/etc");
        const auto mode_of = [](const std::filesystem::path& path) {
            struct stat info{};
            EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
            EXPECT_EQ(info.st_uid, ::geteuid());
            return info.st_mode & 07777;
        };
        EXPECT_EQ(mode_of(folder), 0777u);
        EXPECT_EQ(mode_of(folder / "closed"), 0777u);
        EXPECT_EQ(mode_of(folder / "a" / "index.js"), 0666u);
        EXPECT_EQ(mode_of(folder / "a" / "cli"), 0777u);    // set-uid is gone
        EXPECT_EQ(mode_of(data_ / "trees"), 0700u);
        EXPECT_FALSE(std::filesystem::exists(data_ / "scratch" / name_of("tree")));
        EXPECT_THAT(runner_->list().value(), IsEmpty());

        // Again, also for another commit: it is there.
        auto other = spec;
        other["commit"] = std::string(40, '0');
        ASSERT_GOOD(trees_->create(tree_ref(), other, quiet_, soon()));
        EXPECT_EQ(trees_->observe(tree_ref(), soon())->spec_hash, plan::spec_hash(spec));
        EXPECT_EQ(counted(), "x\n");

        const auto removed = trees_->destroy(tree_ref(), soon());
        ASSERT_GOOD(removed);
        EXPECT_GT(removed->trash_bytes, 0);
        ASSERT_GOOD(trees_->destroy(tree_ref(), soon()));
        expect_nothing();
    });
}

TEST_P(DependencyTreeTest, KeepsWhatPatternsMatchAndNothingThroughLinks) {
    in_child([&] {
        const std::string script =
            "mkdir -p node_modules/x packages/a/node_modules/y packages/.hidden/node_modules "
            "packages/b/none /tmp/x$$; ln -s /etc packages/evil; ln -s a packages/c;"
            "echo f > packages/file";
        ASSERT_GOOD(install(
            script, {"packages/*/node_modules", "node_modules", "node_modules/x", "no*thing"}));
        const auto seal = read_seal(sealed());
        ASSERT_TRUE(seal && *seal);
        EXPECT_THAT((*seal)->paths, ElementsAre("node_modules", "packages/a/node_modules"));
        EXPECT_TRUE(std::filesystem::exists(sealed() / "1" / "y"));
    });
}

TEST_P(DependencyTreeTest, WhatIsToBeKeptMustBeThere) {
    in_child([&] {
        const auto missing = install("mkdir other", {"node_modules"});
        ASSERT_FALSE(missing);
        EXPECT_EQ(missing.error().code, Code::failed);
        EXPECT_THAT(missing.error().message, HasSubstr("did not make the folder 'node_modules'"));
        EXPECT_THAT(missing.error().hint, HasSubstr("install.keep"));
        expect_nothing();
        EXPECT_EQ(install("ln -s /etc node_modules", {"node_modules"}).error().code, Code::failed);
        EXPECT_EQ(install("true", {"../x"}).error().code, Code::invalid);
        EXPECT_EQ(install("true", {"/etc"}).error().code, Code::invalid);
        expect_nothing();
    });
}

TEST_P(DependencyTreeTest, APatternKeepsWhatThereIsWhichMayBeNothing) {
    in_child([&] { ASSERT_GOOD(install("true", {"node*"})); });
}

TEST_P(DependencyTreeTest, AFailedInstallShowsItsLastLinesAndLeavesTheLogAlone) {
    in_child([&] {
        const auto failed = install(
            "mkdir node_modules; for i in 1 2 3; do echo line $i; done; exit 3", {"node_modules"});
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, Code::failed);
        EXPECT_THAT(failed.error().message, HasSubstr("exit code 3"));
        EXPECT_THAT(failed.error().message, HasSubstr("line 3"));
        EXPECT_THAT(failed.error().hint, HasSubstr("install.log"));
        expect_nothing();
        EXPECT_THAT(slurp(data_ / "logs" / "life" / "install.log"), HasSubstr("line 1\n"));
        // And then it works.
        ASSERT_GOOD(install("mkdir node_modules", {"node_modules"}));
    });
}

TEST_P(DependencyTreeTest, CancelAndDeadlineEndTheInstall) {
    in_child([&] {
        CancelSource cancel;
        const plan::Progress at_first_line = [&](std::string_view line) {
            EXPECT_EQ(line, "begun");
            cancel.cancel();
        };
        const auto spec =
            tree_spec("echo begun; mkdir node_modules; sleep 1000 & sleep 1000", {"node_modules"});
        const auto cancelled = trees_->create(tree_ref(), spec, at_first_line, cancel.context());
        ASSERT_FALSE(cancelled);
        EXPECT_EQ(cancelled.error().code, Code::cancelled);
        expect_nothing();
        auto hasty = spec;
        hasty["timeout_ms"] = 50;
        const auto late = trees_->create(tree_ref(), hasty, quiet_, soon());
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().code, Code::timed_out);
        EXPECT_THAT(late.error().hint, HasSubstr("install.timeout"));
        expect_nothing();
    });
}

TEST_P(DependencyTreeTest, NoFileKeepsASecondNameOutside) {
    in_child([&] {
        // As pnpm does with its store.
        ASSERT_GOOD(
            install("mkdir -p node_modules $HOME/store; echo good > $HOME/store/f;"
                    "ln $HOME/store/f node_modules/f; ln node_modules/f node_modules/g",
                    {"node_modules"}));
        for (const char* name : {"f", "g"}) {
            struct stat info{};
            const auto file = sealed() / "0" / name;
            ASSERT_EQ(::stat(file.c_str(), &info), 0);
            EXPECT_EQ(info.st_nlink, 1u);
            EXPECT_EQ(slurp(file), "good\n");
        }
        ASSERT_GOOD(install("echo evil > $HOME/store/f || true; mkdir node_modules",
                            {"node_modules"}, "next"));
        EXPECT_EQ(slurp(sealed() / "0" / "f"), "good\n");
    });
}

TEST_P(DependencyTreeTest, ATreeNotYetOnDiskIsNotTrustedAfterAReboot) {
    in_child([&] {
        const std::string script = "echo x >> $HOME/count; mkdir node_modules";
        ASSERT_GOOD(install(script, {"node_modules"}));
        const auto reboot = [&] {
            auto seal = read_seal(sealed());
            ASSERT_TRUE(seal && *seal);
            (*seal)->boot_id = "another";
            ASSERT_GOOD(write_seal(sealed(), **seal));
        };
        reboot();
        EXPECT_EQ(presence(*trees_, tree_ref()), Presence::partial);
        ASSERT_GOOD(install(script, {"node_modules"}));
        EXPECT_EQ(counted(), "x\nx\n");
        ASSERT_GOOD(trees_->list("host", soon()));    // the collector's look writes it to disk
        reboot();
        EXPECT_EQ(presence(*trees_, tree_ref()), Presence::ready);
        write(sealed() / "index.json", "{torn");
        EXPECT_EQ(presence(*trees_, tree_ref()), Presence::partial);
        ASSERT_GOOD(install(script, {"node_modules"}));
        EXPECT_EQ(presence(*trees_, tree_ref()), Presence::ready);
    });
}

TEST_P(DependencyTreeTestAsRoot, PreviewsCannotReachATreeDirectly) {
    in_child([&] {
        ASSERT_GOOD(install("mkdir node_modules; echo s > node_modules/f", {"node_modules"}));
        const auto tree = add_worktree("w", 1);
        EXPECT_THAT(sh(tree, 1, "cat " + (sealed() / "0" / "f").string()),
                    HasSubstr("Permission denied"));
        EXPECT_THAT(sh(tree, 9, "echo x > " + (sealed() / "0" / "f").string()),
                    HasSubstr("ermission denied"));
    });
}

TEST_P(DependencyTreeTest, ForeignNamesAndBrokenSpecsAreErrors) {
    in_child([&] {
        for (const std::string name : {"", "x", "../x", "st-other-x-0123456789ab"}) {
            const plan::Ref ref{"dep-tree", "host", name};
            EXPECT_EQ(trees_->observe(ref, soon()).error().code, Code::invalid);
            EXPECT_EQ(trees_->destroy(ref, soon()).error().code, Code::invalid);
        }
        EXPECT_FALSE(trees_->create(tree_ref(), json::object(), quiet_, soon()));
        auto spec = tree_spec("true", {});
        spec["mirror"] = "../etc";
        EXPECT_EQ(trees_->create(tree_ref(), spec, quiet_, soon()).error().code, Code::invalid);
        spec = tree_spec("true", {});
        spec["commit"] = std::string(40, '0');
        EXPECT_FALSE(trees_->create(tree_ref(), spec, quiet_, soon()));
        expect_nothing();
    });
}

INSTANTIATE_TEST_SUITE_P(Worlds, DependencyTreeTestAsRoot, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Worlds, DependencyTreeTest, ::testing::Bool(),
                         [](const auto& world) { return world.param ? "root" : "user"; });

}    // namespace
}    // namespace seatrial::resource
