#include "resource/dependency_mount.h"

#include <gmock/gmock.h>

#include "resource/dependency_fixture.h"
#include "resource/mount_record.h"

namespace seatrial::resource {
namespace {

using plan::Presence;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* populate =
    "mkdir -p node_modules/a/lib packages/a/node_modules/z node_modules/.bin;"
    "for f in one two three four; do echo $f > node_modules/a/$f; done;"
    "echo z > packages/a/node_modules/z/f; echo lib > node_modules/a/lib/f;"
    "echo '#!/bin/sh' > node_modules/a/run; echo 'echo ran' >> node_modules/a/run;"
    "chmod 755 node_modules/a/run; ln -s ../a/run node_modules/.bin/run";

class DependencyMountTest : public DependencyFixture {
protected:
    void install_tree(const std::string& script = populate, const std::string& text = "tree") {
        ASSERT_GOOD(install(script, {"node_modules", "packages/*/node_modules"}, text));
    }
    Status mount(const std::string& text, int slot, const std::string& tree = "tree") {
        return mounts_->create(mount_ref(text), mount_spec(text, slot, tree), quiet_, soon());
    }
};

// Without root all previews are one user, and there are no overlays.
class DependencyMountTestAsRoot : public DependencyMountTest {};

TEST_P(DependencyMountTest, ShowsTheTreeAndGoesFromItsNameAlone) {
    in_child([&] {
        install_tree();
        const auto tree = add_worktree("w", 1);
        EXPECT_EQ(presence(*mounts_, mount_ref("w")), Presence::absent);
        ASSERT_GOOD(mount("w", 1));
        const auto seen = mounts_->observe(mount_ref("w"), soon());
        ASSERT_GOOD(seen);
        EXPECT_EQ(seen->presence, Presence::ready);
        EXPECT_EQ(seen->spec_hash, plan::spec_hash(mount_spec("w", 1)));
        EXPECT_EQ(seen->detail, is_root() ? "overlay" : "copy");
        EXPECT_EQ(overlays(), is_root() ? 2 : 0);
        EXPECT_THAT(mounts_->list("host", soon()).value(), ElementsAre(mount_ref("w").name));
        EXPECT_EQ(sh(tree, 1,
                     "node_modules/.bin/run; cat node_modules/a/one packages/a/node_modules/z/f"),
                  "ran\none\nz\n");
        EXPECT_EQ(sh(tree, 1, "git status --porcelain --ignored=no 2>&1 | grep -v node_modules"),
                  "");
        EXPECT_EQ(trees_->destroy(tree_ref(), soon()).error().code, Code::conflict);
        EXPECT_THAT(runner_->list().value(), IsEmpty());

        ASSERT_GOOD(mounts_->destroy(mount_ref("w"), soon()));
        EXPECT_EQ(presence(*mounts_, mount_ref("w")), Presence::absent);
        EXPECT_EQ(overlays(), 0);
        EXPECT_EQ(sh(tree, 1, "cat node_modules/a/one 2>/dev/null"), "");
        EXPECT_FALSE(std::filesystem::exists(tree.parent_path() / "deps"));
        ASSERT_GOOD(mounts_->destroy(mount_ref("w"), soon()));
        EXPECT_THAT(mounts_->list("host", soon()).value(), IsEmpty());
        ASSERT_GOOD(trees_->destroy(tree_ref(), soon()));
    });
}

TEST_P(DependencyMountTest, WhatOneWritesNeverShowsInAnother) {
    in_child([&] {
        install_tree();
        const auto first = add_worktree("w1", 1);
        const auto second = add_worktree("w2", 2);
        ASSERT_GOOD(mount("w1", 1));
        ASSERT_GOOD(mount("w2", 2));
        const std::string look =
            "cd node_modules; find . | LC_ALL=C sort; find . -type f | LC_ALL=C sort | xargs cat;"
            "find . -type f -perm -100 | LC_ALL=C sort";
        const auto before = sh(second, 2, look);
        const auto changed =
            sh(first, 1,
               "set -e; cd node_modules; echo new > new; echo more >> a/one;"
               "echo other > a/two; rm a/three; mv a/four a/five; mv a/lib a/moved;"
               "mkdir a/lib; echo x > a/lib/g; mkdir .cache; echo c > .cache/c;"
               "cp a/run a/copy; mv a/copy a/run; chmod 700 new; chmod 600 a/run;"
               "sed -i s/one/ONE/ a/one; ln -s new link; touch a/one; echo done");
        EXPECT_EQ(changed, "done\n");
        EXPECT_EQ(sh(first, 1, "cd node_modules; cat a/one a/five; ls a; ls a/lib; ls a/moved"),
                  "ONE\nmore\nfour\nfive\nlib\nmoved\none\nrun\ntwo\ng\nf\n");
        EXPECT_EQ(sh(second, 2, look), before);
        ASSERT_GOOD(mounts_->destroy(mount_ref("w1"), soon()));
        const auto third = add_worktree("w3", 1);
        ASSERT_GOOD(mount("w3", 1));
        EXPECT_EQ(sh(third, 1, look), before);
    });
}

TEST_P(DependencyMountTestAsRoot, APreviewCannotReachTheLayersOfAnother) {
    in_child([&] {
        install_tree();
        const auto first = add_worktree("w1", 1);
        add_worktree("w2", 2);
        ASSERT_GOOD(mount("w1", 1));
        ASSERT_GOOD(mount("w2", 2));
        const auto other = (data_ / "previews" / name_of("w2")).string();
        EXPECT_THAT(sh(first, 1, "ls " + other + "/deps/0/upper"), HasSubstr("ermission denied"));
        EXPECT_THAT(sh(first, 1, "echo x > " + other + "/deps/0/upper/x"),
                    HasSubstr("ermission denied"));
        EXPECT_THAT(sh(first, 1, "echo x > " + other + "/tree/node_modules/x"),
                    HasSubstr("ermission denied"));
    });
}

TEST_P(DependencyMountTest, AnotherTreeComesFresh) {
    in_child([&] {
        install_tree();
        install_tree("mkdir -p node_modules/n packages/b/node_modules; echo n > node_modules/n/f",
                     "newer");
        const auto tree = add_worktree("w", 1);
        ASSERT_GOOD(mount("w", 1));
        EXPECT_EQ(sh(tree, 1, "echo mine > node_modules/mine"), "");
        ASSERT_GOOD(mount("w", 1, "newer"));
        EXPECT_EQ(sh(tree, 1, "ls node_modules; ls packages/a"),
                  is_root() ? "n\nnode_modules\nsrc\n" : "n\nsrc\n");
        EXPECT_EQ(overlays(), is_root() ? 2 : 0);
        EXPECT_EQ(mounts_->observe(mount_ref("w"), soon())->spec_hash,
                  plan::spec_hash(mount_spec("w", 1, "newer")));
        ASSERT_GOOD(trees_->destroy(tree_ref(), soon()));    // nobody mounts the old one
    });
}

TEST_P(DependencyMountTest, LostMountsArePartialAndComeBack) {
    in_child([&] {
        install_tree();
        const auto tree = add_worktree("w", 1);
        ASSERT_GOOD(mount("w", 1));
        if (is_root()) {
            ASSERT_GOOD(runner_->umount(tree / "node_modules", soon()));    // as after a reboot
        } else {
            std::filesystem::remove_all(tree / "node_modules");
        }
        EXPECT_EQ(presence(*mounts_, mount_ref("w")), Presence::partial);
        ASSERT_GOOD(mount("w", 1));
        EXPECT_EQ(sh(tree, 1, "cat node_modules/a/one"), "one\n");
        // A record that a power cut tore.
        write(mount_record_file(data_, mount_ref("w").name), "{");
        EXPECT_EQ(presence(*mounts_, mount_ref("w")), Presence::partial);
        if (is_root()) {
            ASSERT_GOOD(runner_->umount(tree / "node_modules", soon()));
            ASSERT_GOOD(runner_->umount(tree / "packages/a/node_modules", soon()));
        }
        ASSERT_GOOD(mount("w", 1));
        EXPECT_EQ(sh(tree, 1, "cat node_modules/a/one"), "one\n");
    });
}

TEST_P(DependencyMountTest, LinksAndFilesInTheWayAreTheUsersFault) {
    in_child([&] {
        install_tree();
        const auto victim = base_ / "victim";
        std::filesystem::create_directory(victim);
        ::chmod(victim.c_str(), 0777);
        const std::string scripts[] = {"ln -s " + victim.string() + " node_modules",
                                       "echo x > node_modules",
                                       "rm -r packages; ln -s " + victim.string() + " packages"};
        for (const auto& script : scripts) {
            const auto tree = add_worktree("w", 1);
            EXPECT_EQ(sh(tree, 1, script), "");
            const auto refused = mount("w", 1);
            ASSERT_FALSE(refused) << script;
            EXPECT_EQ(refused.error().code, Code::failed) << why(refused);
            EXPECT_THAT(refused.error().hint, HasSubstr("install.keep"));
            ASSERT_GOOD(mounts_->destroy(mount_ref("w"), soon()));
            EXPECT_TRUE(std::filesystem::is_empty(victim)) << script;
            ASSERT_GOOD(runner_->remove(tree.parent_path(), soon()));
        }
    });
}

TEST_P(DependencyMountTest, GoesAlsoWhenTheTreeOrTheWorktreeHasGone) {
    in_child([&] {
        install_tree();
        const auto tree = add_worktree("w", 1);
        ASSERT_GOOD(mount("w", 1));
        // The preview puts a link where our folder's parent was: nothing behind it is touched.
        const auto victim = base_ / "victim" / "node_modules";
        std::filesystem::create_directories(victim);
        write(victim / "precious", "p");
        if (!is_root()) {
            std::filesystem::remove_all(tree / "packages" / "a");
            std::filesystem::create_symlink(victim.parent_path(), tree / "packages" / "a");
        }
        if (is_root()) {
            EXPECT_EQ(sh(tree, 1, "mv packages elsewhere; ln -s " + victim.string() + " packages"),
                      "");
        }
        std::filesystem::remove_all(data_ / "trees" / name_of("tree"));
        ASSERT_GOOD(mounts_->destroy(mount_ref("w"), soon()));
        EXPECT_EQ(slurp(victim / "precious"), "p");
        EXPECT_EQ(overlays(), 0);
        EXPECT_EQ(mount("w", 1).error().code, Code::unavailable);

        install_tree();
        EXPECT_EQ(sh(tree, 1, is_root() ? "rm packages; mv elsewhere packages" : "rm packages/a"),
                  "");
        ASSERT_GOOD(mount("w", 1));
        if (is_root()) {
            ASSERT_GOOD(runner_->umount(tree / "node_modules", soon()));
            ASSERT_GOOD(runner_->umount(tree / "packages/a/node_modules", soon()));
        }
        ASSERT_GOOD(runner_->remove(tree.parent_path(), soon()));
        ASSERT_GOOD(mounts_->destroy(mount_ref("w"), soon()));
        EXPECT_EQ(presence(*mounts_, mount_ref("w")), Presence::absent);
    });
}

TEST_P(DependencyMountTestAsRoot, WithoutOverlaysRootCopies) {
    in_child(
        [&] {
            install_tree();
            const auto tree = add_worktree("w", 1);
            ASSERT_GOOD(mount("w", 1));
            EXPECT_EQ(overlays(), 0);
            EXPECT_EQ(mounts_->observe(mount_ref("w"), soon())->detail, "copy");
            EXPECT_EQ(sh(tree, 1,
                         "node_modules/.bin/run; chmod 600 node_modules/a/one; "
                         "echo more >> node_modules/a/one; cat node_modules/a/one"),
                      "ran\none\nmore\n");
            EXPECT_EQ(slurp(data_ / "trees" / name_of("tree") / "0" / "a" / "one"), "one\n");
            ASSERT_GOOD(mounts_->destroy(mount_ref("w"), soon()));
            EXPECT_FALSE(std::filesystem::exists(tree / "node_modules"));
        },
        "helper.mount.before=error@1");
}

TEST_P(DependencyMountTest, ForeignNamesAndBrokenSpecsAreErrors) {
    in_child([&] {
        for (const std::string name : {"", "x", "../x", "st-other-x-0123456789ab"}) {
            const plan::Ref ref{"dep-mount", "host", name};
            EXPECT_EQ(mounts_->observe(ref, soon()).error().code, Code::invalid);
            EXPECT_EQ(mounts_->destroy(ref, soon()).error().code, Code::invalid);
        }
        EXPECT_FALSE(mounts_->create(mount_ref("w"), json::object(), quiet_, soon()));
        auto spec = mount_spec("w", 1);
        spec["worktree"] = "../../etc";
        EXPECT_EQ(mounts_->create(mount_ref("w"), spec, quiet_, soon()).error().code,
                  Code::invalid);
        EXPECT_EQ(mount("w", 1).error().code, Code::unavailable);
        EXPECT_EQ(presence(*mounts_, mount_ref("w")), Presence::absent);
    });
}

INSTANTIATE_TEST_SUITE_P(Worlds, DependencyMountTestAsRoot, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Worlds, DependencyMountTest, ::testing::Bool(),
                         [](const auto& world) { return world.param ? "root" : "user"; });

TEST(MountTable, ReadsTheKernelsForm) {
    const auto points = parse_mountinfo(
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
        "37 35 0:40 / /with\\040blank\\134x rw - overlay seatrial rw\n"
        "nonsense\n\n");
    ASSERT_EQ(points.size(), 2u);
    EXPECT_EQ(points[0].path, "/mnt2");
    EXPECT_EQ(points[1].path, "/with blank\\x");
    EXPECT_EQ(points[1].type, "overlay");
    EXPECT_FALSE(mounted()->empty());
}

}    // namespace
}    // namespace seatrial::resource
