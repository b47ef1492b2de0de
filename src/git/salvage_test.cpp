// What a preview's tree holds and nobody else is saved before it goes.
#include "git/worktree_fixture.h"

namespace seatrial::git {
namespace {

class Salvage : public Worktree {
protected:
    Salvage() {
        add(first);
        check_out(first);
        std::filesystem::create_directory(preview / "out");
        hand_over(preview / "out");
    }
    Result<std::string> save() {
        const TreeGit git = [this](const std::vector<std::string>& argv,
                                   const std::vector<std::string>& env) {
            ++processes;
            return run_in(preview, argv, env);
        };
        return salvage(git, preview, mirror.folder(), first, preview / "out");
    }
    std::string show(const std::string& what) {
        return repo.git({"--git-dir", mirror.folder().string(), "show", what});
    }
    int processes = 0;
};

TEST_F(Salvage, NothingToSaveIsOneProcess) {
    edit("node_modules/m", "ignored");
    EXPECT_EQ(save().value(), "");
    EXPECT_EQ(processes, 1);
}

TEST_F(Salvage, SavesChangedUntrackedDeletedButNotIgnoredFiles) {
    edit("a", "changed\n");
    edit("new file", "untracked\n");
    edit("deep/er/x", "untracked\n");
    edit("node_modules/m", "ignored");
    std::filesystem::remove(tree_folder(preview) / "gone");
    const auto saved = save();
    ASSERT_TRUE(saved) << saved.error().message;
    ASSERT_TRUE(mirror.receive_bundle(preview / "out/salvage.bundle", *saved, soon()));
    ASSERT_TRUE(mirror.keep_salvage("st-abc123-x", *saved, soon()));
    EXPECT_EQ(show(*saved + ":a"), "changed");
    EXPECT_EQ(show(*saved + ":new file"), "untracked");
    EXPECT_EQ(show(*saved + ":deep/er/x"), "untracked");
    const std::string names =
        repo.git({"--git-dir", mirror.folder().string(), "ls-tree", "-r", "--name-only", *saved});
    EXPECT_EQ(names.find("node_modules"), std::string::npos);
    EXPECT_EQ(names.find("gone"), std::string::npos);
    EXPECT_EQ(repo.git({"--git-dir", mirror.folder().string(), "rev-parse", *saved + "^"}), first);
    // The tree stands as it was, and a repeat finds the same work.
    EXPECT_EQ(worktree_head(preview), first);
    EXPECT_FALSE(clean());
    std::filesystem::remove_all(preview / "out");
    std::filesystem::create_directory(preview / "out");
    hand_over(preview / "out");
    const auto again = save();
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_TRUE(mirror.receive_bundle(preview / "out/salvage.bundle", *again, soon()));
    EXPECT_EQ(repo.git({"--git-dir", mirror.folder().string(), "rev-parse", *again + "^{tree}"}),
              repo.git({"--git-dir", mirror.folder().string(), "rev-parse", *saved + "^{tree}"}));
}

TEST_F(Salvage, SavesLocalCommits) {
    edit("a", "committed\n");
    std::vector<std::string> env = tree_git_env(tree_folder(preview));
    env.insert(env.end(), {"GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@y", "GIT_COMMITTER_NAME=x",
                           "GIT_COMMITTER_EMAIL=x@y"});
    // Without root the app and the mirror have one user: it can commit. With root we let it.
    hand_over(mirror.folder() / "objects");
    EXPECT_EQ(run_in(preview, {"git", "commit", "-a", "-q", "-m", "local"}, env)->exit_code, 0);
    take_back(mirror.folder() / "objects");
    const std::string local = worktree_head(preview);
    ASSERT_NE(local, first);
    EXPECT_EQ(save().value(), local);
    const auto got = mirror.receive_bundle(preview / "out/salvage.bundle", local, soon());
    EXPECT_TRUE(got) << got.error().message;
}

TEST_F(Salvage, HeadAtAnotherKnownCommitIsSaved) {
    check_out(second);
    EXPECT_EQ(save().value(), second);
    EXPECT_TRUE(mirror.receive_bundle(preview / "out/salvage.bundle", second, soon()));
}

TEST_F(Salvage, BrokenTreeIsAnError) {
    std::filesystem::remove(tree_folder(preview) / ".git");
    const auto saved = save();
    ASSERT_FALSE(saved);
    EXPECT_NE(saved.error().code, Code::internal);
}

TEST_F(Salvage, HostileFileNamesAreSaved) {
    edit("--all", "x\n");
    edit("new\nline", "x\n");
    edit("$(touch pwned)", "x\n");
    edit("\xff\xfe", "x\n");
    const auto saved = save();
    ASSERT_TRUE(saved) << saved.error().message;
    ASSERT_TRUE(mirror.receive_bundle(preview / "out/salvage.bundle", *saved, soon()));
    EXPECT_EQ(show(*saved + ":--all"), "x");
    EXPECT_EQ(show(*saved + ":$(touch pwned)"), "x");
}

}    // namespace
}    // namespace seatrial::git
