#include "process/tree.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "process/overlay.h"
#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

class Tree : public RunnerFixture {
protected:
    void SetUp() override {
        RunnerFixture::SetUp();
        ASSERT_OK(make_dirs(data_));
        parent_ = Fd(::open(data_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    Fd parent_;
};

TEST_F(Tree, RemovesEverythingAndFollowsNothing) {
    ASSERT_OK(make_dirs(data_ / "tree" / "a" / "b"));
    ASSERT_OK(make_dirs(base_ / "other"));
    std::ofstream(base_ / "other" / "kept") << "x";
    std::ofstream(data_ / "tree" / "a" / "file") << "x";
    std::filesystem::create_directory_symlink(base_ / "other", data_ / "tree" / "a" / "link");
    ::mkfifo((data_ / "tree" / "fifo").c_str(), 0600);
    EXPECT_OK(remove_tree(parent_, "tree"));
    EXPECT_FALSE(std::filesystem::exists(data_ / "tree"));
    EXPECT_TRUE(std::filesystem::exists(base_ / "other" / "kept"));
    EXPECT_OK(remove_tree(parent_, "tree"));
    std::ofstream(data_ / "single") << "x";
    EXPECT_OK(remove_tree(parent_, "single"));
    EXPECT_FALSE(std::filesystem::exists(data_ / "single"));
}

TEST_F(Tree, RemovesTreesDeeperThanAnyPath) {
    ASSERT_EQ(::mkdirat(parent_.get(), "deep", 0700), 0);
    Fd at(::openat(parent_.get(), "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string folder(200, 'f');
    for (int i = 0; i < 300; ++i) {
        ASSERT_EQ(::mkdirat(at.get(), folder.c_str(), 0700), 0);
        ASSERT_EQ(::symlinkat("/etc", at.get(), "link"), 0);
        at = Fd(::openat(at.get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        ASSERT_TRUE(at);
    }
    at.reset();
    EXPECT_OK(remove_tree(parent_, "deep"));
    EXPECT_NE(::faccessat(parent_.get(), "deep", F_OK, 0), 0);
}

TEST_F(Tree, RemovesWhatItsOwnerClosed) {
    in_child({"user", false, "none"}, [this] {
        const auto place = base_ / "mine";
        ASSERT_OK(make_dirs(place / "tree" / "closed" / "inner"));
        std::ofstream(place / "tree" / "closed" / "inner" / "file") << "x";
        ::chmod((place / "tree" / "closed" / "inner").c_str(), 0);
        ::chmod((place / "tree" / "closed").c_str(), 0500);
        ::chmod((place / "tree").c_str(), 0);
        const Fd parent(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        EXPECT_OK(remove_tree(parent, "tree"));
        EXPECT_FALSE(std::filesystem::exists(place / "tree"));
    });
}

class RootTree : public Tree {
protected:
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
        Tree::SetUp();
    }
    const World root_{"root", true, "auto"};
};

TEST_F(RootTree, StopsAtAMountInside) {
    ASSERT_OK(make_dirs(data_ / "tree" / "mounted"));
    ASSERT_EQ(::mount("test", (data_ / "tree" / "mounted").c_str(), "tmpfs", 0, nullptr), 0);
    std::ofstream(data_ / "tree" / "mounted" / "kept") << "x";
    EXPECT_EQ(remove_tree(parent_, "tree").error().code, Code::conflict);
    EXPECT_EQ(remove_tree(parent_, "tree").error().code, Code::conflict);
    EXPECT_TRUE(std::filesystem::exists(data_ / "tree" / "mounted" / "kept"));
    // A foreign mount is not ours to take away either.
    const Fd folder(::open((data_ / "tree").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(umount_overlay(folder, "mounted").error().code, Code::refused);
    ASSERT_EQ(::umount((data_ / "tree" / "mounted").c_str()), 0);
    EXPECT_OK(remove_tree(parent_, "tree"));
}

TEST_F(RootTree, OwnsATreeAndBackAndLeavesMountsAlone) {
    in_child(root_, [this] {
        auto runner = open();
        const auto tree = data_ / "previews" / "tree";
        ASSERT_OK(make_dirs(tree / "a" / "b"));
        std::ofstream(tree / "a" / "file") << "x";
        ASSERT_OK(runner->own(tree, 3, soon()));
        struct stat info{};
        ASSERT_EQ(::lstat(tree.c_str(), &info), 0);
        EXPECT_EQ(info.st_uid, runner->uid_of(3));
        EXPECT_EQ(info.st_gid, runner->uid_of(3));
        ASSERT_OK(runner->own(tree, -1, soon()));
        ASSERT_OK(runner->own(tree, -1, soon()));
        EXPECT_EQ(read_text(tree / "a" / "file"), "x");
        EXPECT_EQ(runner->own(data_ / "previews" / "none", 3, soon()).error().code,
                  Code::not_found);
        EXPECT_EQ(runner->own("/etc", 3, soon()).error().code, Code::refused);
        EXPECT_EQ(runner->own(data_, 3, soon()).error().code, Code::refused);
        EXPECT_EQ(runner->own(tree, 1000, soon()).error().code, Code::invalid);
        EXPECT_OK(runner->remove(tree, soon()));
        EXPECT_EQ(runner->remove(data_ / "previews", soon()).error().code, Code::refused);
    });
}

TEST_F(RootTree, SharesALowerTreeThroughOverlays) {
    in_child(root_, [this] {
        auto runner = open();
        const auto lower = data_ / "trees" / "modules";
        ASSERT_OK(make_dirs(lower));
        std::ofstream(lower / "file") << "original";
        const auto place = data_ / "previews" / "one";
        for (const char* name : {"upper", "work", "modules"}) {
            ASSERT_OK(make_dirs(place / name));
        }
        ASSERT_OK(runner->own(place, 0, soon()));
        const auto mount = [&] {
            return runner->mount(lower, place / "upper", place / "work", place / "modules", soon());
        };
        const Status mounted = mount();
        if (!mounted && mounted.error().code == Code::unavailable) {
            GTEST_SKIP() << mounted.error().message;
        }
        ASSERT_OK(mounted);
        EXPECT_EQ(mount().error().code, Code::conflict);
        EXPECT_EQ(runner->remove(place, soon()).error().code, Code::conflict);
        RunSpec spec = shell(*runner, "write",
                             "cat modules/file; rm modules/file; echo mine > modules/file; "
                             "echo new > modules/new; cat modules/file");
        spec.cwd = place;
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 0) << log_of("write");
        EXPECT_EQ(log_of("write"), "originalmine\n");
        EXPECT_EQ(read_text(lower / "file"), "original");
        EXPECT_FALSE(std::filesystem::exists(lower / "new"));
        // In use: detached, and gone from the tree at once.
        spec.argv[2] = "cd modules && echo in && exec sleep 1000";
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return log_of("write").ends_with("in\n"); }));
        ASSERT_OK(runner->umount(place / "modules", soon()));
        ASSERT_OK(runner->umount(place / "modules", soon()));
        ASSERT_OK(runner->umount(data_ / "previews" / "absent" / "x", soon()));
        ASSERT_OK(runner->kill(spec.name, std::chrono::milliseconds(0), soon()));
        ASSERT_OK(runner->forget(spec.name, soon()));
        EXPECT_TRUE(eventually([&] { return runner->remove(place, soon()).has_value(); }));
        EXPECT_EQ(read_text(lower / "file"), "original");
    });
}

TEST_F(Tree, WithoutRootThePrivilegedVerbsAreUnavailable) {
    in_child({"user", false, "auto"}, [this] {
        data_ = base_ / "own";
        auto runner = open();
        const auto tree = make_tree(*runner, "tree");
        EXPECT_EQ(runner->own(tree, -1, soon()).error().code, Code::unavailable);
        EXPECT_EQ(runner->mount(tree, tree, tree, tree, soon()).error().code, Code::unavailable);
        EXPECT_OK(runner->umount(tree, soon()));
        EXPECT_TRUE(*runner->uid_idle(3));
        EXPECT_OK(runner->remove(tree, soon()));
        EXPECT_FALSE(std::filesystem::exists(tree));
    });
}

}    // namespace
}    // namespace seatrial::process
