#include "process/roots.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

class RootsTest : public RunnerFixture {
protected:
    std::string fault(const std::filesystem::path& path) {
        const auto adopted = adopt_root(path, ::geteuid(), ::getegid());
        if (adopted) {
            return "";
        }
        EXPECT_EQ(adopted.error().code, Code::invalid);
        EXPECT_NE(adopted.error().hint, "");
        return adopted.error().message;
    }
    static bool has(const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    }
};

TEST_F(RootsTest, MakesAFolderAndTakesItAgain) {
    const auto path = base_ / "deep" / "previews";
    EXPECT_EQ(fault(path), "");
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0711U);
    std::ofstream(path / "x") << "y";
    EXPECT_EQ(fault(path), "");
}

TEST_F(RootsTest, RefusesWhatCannotServe) {
    EXPECT_TRUE(has(fault("relative/path"), "not an absolute path"));
    EXPECT_TRUE(has(fault(base_ / ".." / "x"), "not a plain path"));
    EXPECT_TRUE(has(fault("/"), "not a plain path"));
    std::filesystem::create_directory_symlink("/etc", base_ / "link");
    EXPECT_TRUE(has(fault(base_ / "link"), "is a link"));
    EXPECT_TRUE(has(fault(base_ / "link" / "below"), "is a link"));
    EXPECT_FALSE(std::filesystem::exists("/etc/below"));
    std::ofstream(base_ / "file") << "x";
    EXPECT_TRUE(has(fault(base_ / "file" / "below"), "is a link or no folder"));
    ASSERT_OK(make_dirs(base_ / "repository" / ".git"));
    EXPECT_TRUE(has(fault(base_ / "repository"), "git repository"));
    EXPECT_TRUE(has(fault(base_ / "repository" / "a" / "b"), "git repository"));
    EXPECT_FALSE(std::filesystem::exists(base_ / "repository" / "a" / "b"));
    std::ofstream(base_ / "repository" / "x") << "y";
    ASSERT_EQ(::chmod((base_ / "repository").c_str(), 0777), 0);
    std::filesystem::remove(base_ / "repository" / ".git");
    EXPECT_TRUE(has(fault(base_ / "repository"), "written by other users"));
}

TEST_F(RootsTest, RefusesWhatBelongsToOthers) {
    in_child({"user", false, "none"}, [this] {
        EXPECT_TRUE(has(fault("/etc"), "belongs to uid 0"));
        EXPECT_TRUE(has(fault("/seatrial-never-made"), "cannot be made"));
    });
    if (::geteuid() == 0) {
        ASSERT_OK(make_dirs(base_ / "closed", 0700));
        EXPECT_TRUE(has(fault(base_ / "closed" / "in"), "other users cannot enter"));
    }
}

TEST_F(RootsTest, ARunnerWorksInTheOtherRoot) {
    for (const bool root : {true, false}) {
        if (root && ::geteuid() != 0) {
            continue;
        }
        in_child({"", root, "auto"}, [this, root] {
            data_ = base_ / (root ? "data" : "own");
            auto runner = open();
            const auto top = base_ / (root ? "r" : "u") / "previews";
            const auto tree = top / "one" / "tree";
            EXPECT_EQ(runner->remove(tree, soon()).error().code, Code::refused);
            ASSERT_OK(runner->set_worktrees(top, soon()));
            EXPECT_EQ(runner->set_worktrees("/etc", soon()).error().code, Code::conflict);
            ASSERT_OK(make_dirs(tree, 0711));
            if (root) {
                ASSERT_OK(runner->own(tree, 0, soon()));
            }
            RunSpec spec = shell(*runner, "there", "pwd; echo x > file");
            spec.cwd = tree;
            const auto ended = runner->run(spec, soon());
            ASSERT_OK(ended);
            EXPECT_EQ(ended->exit_code, 0);
            EXPECT_EQ(log_of("there"), tree.string() + "\n");
            EXPECT_OK(runner->forget(spec.name, soon()));
            for (const auto& path : {top, top / "..", top / ".." / "x", base_ / "helper"}) {
                EXPECT_FALSE(runner->remove(path, soon()).has_value()) << path;
            }
            EXPECT_OK(runner->remove(top / "one", soon()));
            EXPECT_TRUE(std::filesystem::is_empty(top));
        });
    }
}

}    // namespace
}    // namespace seatrial::process
