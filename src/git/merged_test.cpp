#include <fcntl.h>
#include <gtest/gtest.h>

#include "git/mirror.h"
#include "git/test_repository.h"

namespace seatrial::git {
namespace {

using test::Repo;
using test::soon;
using test::TempFolder;

// main has files a, b; branch `work` starts there. Each test finishes it in its own way.
class Merged : public testing::Test {
protected:
    Merged() {
        repo.write("a", "1\n2\n3\n4\n5\n6\n7\n8\n");
        repo.write("b", "base\n");
        fork = repo.commit("base");
        repo.git({"checkout", "-q", "-b", "work"});
    }
    // Three commits of own work.
    void work() {
        repo.commit_file("a", "1\n2\nthree\n4\n5\n6\n7\n8\n");
        repo.commit_file("new", "file\n");
        repo.commit_file("new", "file\nmore\n");
        tip = repo.head();
    }
    void on_main() { repo.git({"checkout", "-q", "main"}); }
    void move_main() {
        on_main();
        repo.commit_file("b", "moved\n");
        repo.commit_file("c", "unrelated\n");
    }
    bool merged(const std::string& known = "") {
        EXPECT_TRUE(mirror.ensure(soon()));
        const std::string base = repo.git({"rev-parse", "main"});
        repo.git({"push", "-q", mirror.folder().string(), "+main:refs/st/in/main",
                  "+work:refs/st/in/work"});
        const auto answer = mirror.is_merged(repo.git({"rev-parse", "work"}), base, known, soon());
        EXPECT_TRUE(answer) << answer.error().message;
        return answer.value_or(false);
    }
    TempFolder folder;
    Repo repo{folder / "r"};
    Mirror mirror{folder / "m.git"};
    std::string fork;
    std::string tip;
};

TEST_F(Merged, NotYet) {
    work();
    EXPECT_FALSE(merged());
    move_main();
    EXPECT_FALSE(merged());
    EXPECT_FALSE(merged(fork));
}

TEST_F(Merged, FreshBranchIsNot) {
    EXPECT_FALSE(merged());
    EXPECT_FALSE(merged(fork));
    move_main();    // the base went on, the branch did not
    EXPECT_FALSE(merged());
    EXPECT_FALSE(merged(fork));
    // A merge of others on the base's way changes nothing.
    repo.git({"checkout", "-q", "-b", "other", fork});
    repo.commit_file("o", "o");
    on_main();
    repo.git({"merge", "-q", "--no-ff", "-m", "merge other", "other"});
    EXPECT_FALSE(merged());
    EXPECT_FALSE(merged(fork));
}

TEST_F(Merged, BranchWithEmptyCommitsIsNot) {
    repo.commit("trigger a build");
    EXPECT_FALSE(merged());
    move_main();
    EXPECT_FALSE(merged());
}

TEST_F(Merged, WorkTakenBackIsNot) {
    repo.commit_file("a", "other\n");
    repo.git({"revert", "--no-edit", "HEAD"});
    EXPECT_FALSE(merged());
}

TEST_F(Merged, ByMergeCommit) {
    work();
    move_main();
    repo.git({"merge", "-q", "--no-ff", "-m", "merge", "work"});
    EXPECT_TRUE(merged());
    EXPECT_TRUE(merged(fork));
    repo.commit_file("new", "changed later\n");
    EXPECT_TRUE(merged());
}

TEST_F(Merged, ByMergeCommitWithoutOtherWork) {
    work();
    on_main();
    repo.git({"merge", "-q", "--no-ff", "-m", "merge", "work"});
    EXPECT_TRUE(merged());
}

// Looks like a fresh branch unless it is known where the base was.
TEST_F(Merged, ByFastForward) {
    work();
    on_main();
    repo.git({"merge", "-q", "--ff-only", "work"});
    EXPECT_FALSE(merged());
    EXPECT_TRUE(merged(fork));
    repo.commit_file("b", "later\n");
    EXPECT_TRUE(merged(fork));
}

TEST_F(Merged, ByRebase) {
    work();
    move_main();
    repo.git({"cherry-pick", fork + ".." + tip});
    repo.commit_file("new", "changed later\n");
    EXPECT_TRUE(merged());
}

TEST_F(Merged, BySquash) {
    work();
    move_main();
    repo.git({"merge", "-q", "--squash", "work"});
    repo.commit("squashed (#12)");
    EXPECT_TRUE(merged());
    EXPECT_TRUE(merged(fork));
}

TEST_F(Merged, BySquashWithLaterChanges) {
    work();
    move_main();
    repo.git({"merge", "-q", "--squash", "work"});
    repo.commit("squashed (#12)");
    repo.commit_file("new", "rewritten\n");
    repo.commit_file("a", "all new\n");
    EXPECT_TRUE(merged());
}

TEST_F(Merged, BySquashAfterTheBranchTookTheBase) {
    work();
    move_main();
    repo.git({"checkout", "-q", "work"});
    repo.git({"merge", "-q", "-m", "take main", "main"});
    repo.commit_file("new", "final\n");
    on_main();
    repo.git({"merge", "-q", "--squash", "work"});
    repo.commit("squashed");
    repo.commit_file("new", "later\n");
    EXPECT_TRUE(merged());
}

TEST_F(Merged, PartOfTheWorkIsNotEnough) {
    work();
    move_main();
    repo.git({"cherry-pick", tip + "~2"});
    EXPECT_FALSE(merged());
}

TEST_F(Merged, NewWorkAfterTheMergeIsNot) {
    work();
    move_main();
    repo.git({"merge", "-q", "--squash", "work"});
    repo.commit("squashed");
    repo.git({"checkout", "-q", "work"});
    repo.commit_file("extra", "x\n");
    EXPECT_FALSE(merged());
}

TEST_F(Merged, DeletionsAndModesCount) {
    repo.git({"rm", "-q", "b"});
    repo.git({"update-index", "--chmod=+x", "a"});
    repo.git({"commit", "-q", "-m", "delete and chmod"});
    repo.git({"checkout", "-q", "-f", "main"});
    repo.git({"rm", "-q", "b"});
    repo.commit("only the deletion");
    EXPECT_FALSE(merged());
    repo.git({"update-index", "--chmod=+x", "a"});
    repo.git({"commit", "-q", "-m", "and the mode"});
    EXPECT_TRUE(merged());
}

TEST_F(Merged, UnknownIsAnError) {
    ASSERT_TRUE(mirror.ensure(soon()));
    EXPECT_FALSE(mirror.is_merged(fork, fork, "", soon()));    // not in the mirror
    EXPECT_EQ(mirror.is_merged("main", fork, "", soon()).error().code, Code::invalid);
    repo.git({"push", "-q", mirror.folder().string(), "main:refs/st/in/main"});
    EXPECT_FALSE(mirror.is_merged(fork, std::string(40, '1'), "", soon()));
    CancelSource cancel;
    cancel.cancel();
    EXPECT_EQ(mirror.is_merged(fork, fork, "", cancel.context()).error().code, Code::cancelled);
}

TEST_F(Merged, UnrelatedHistoriesAreNot) {
    repo.git({"checkout", "-q", "--orphan", "lone"});
    repo.commit_file("z", "z");
    repo.git({"branch", "-f", "work", "lone"});
    EXPECT_FALSE(merged());
}

TEST_F(Merged, AskingAgainAddsNothing) {
    work();
    move_main();
    EXPECT_FALSE(merged());
    const std::string before = repo.git({"--git-dir", mirror.folder().string(), "count-objects"});
    EXPECT_FALSE(merged());
    EXPECT_EQ(repo.git({"--git-dir", mirror.folder().string(), "count-objects"}), before);
}

}    // namespace
}    // namespace seatrial::git
