#include "git/worktree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "git/test_repository.h"

namespace seatrial::git {
namespace {

using test::Repo;
using test::soon;
using test::TempFolder;

constexpr uid_t stranger = 2000001;

// A mirror that belongs to us and worktrees that belong to another user when we are root.
class Worktree : public testing::Test {
protected:
    Worktree() {
        EXPECT_TRUE(mirror.ensure(soon()));
        repo.write(".gitignore", "node_modules/\n*.log\n");
        repo.write("a", "one\n");
        repo.write("gone", "x\n");
        repo.write("dir/deep/file", "x\n");
        repo.write("run.sh", "#!/bin/sh\n");
        std::filesystem::create_symlink("a", repo / "link");
        first = repo.commit("first");
        repo.write("a", "two\n");
        std::filesystem::remove(repo / "gone");
        std::filesystem::remove_all(repo / "dir");
        repo.write("dir", "now a file\n");
        std::filesystem::permissions(repo / "run.sh", std::filesystem::perms(0755));
        std::filesystem::remove(repo / "link");
        std::filesystem::create_symlink("run.sh", repo / "link");
        repo.write("fresh/new", "n\n");
        second = repo.commit("second");
        push();
        std::filesystem::create_directory(folder / "p");
        preview = folder / "p";
    }
    void push() { repo.git({"push", "-q", mirror.folder().string(), "+HEAD:refs/st/in/x"}); }
    void hand_over(const std::filesystem::path& path) const {
        if (::geteuid() != 0) {
            return;
        }
        ASSERT_EQ(::lchown(path.c_str(), stranger, stranger), 0);
        if (!std::filesystem::is_symlink(path) && std::filesystem::is_directory(path)) {
            for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
                ASSERT_EQ(::lchown(entry.path().c_str(), stranger, stranger), 0);
            }
        }
    }
    void take_back(const std::filesystem::path& path) const {
        ASSERT_EQ(::lchown(path.c_str(), ::geteuid(), ::getegid()), 0);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
            ASSERT_EQ(::lchown(entry.path().c_str(), ::geteuid(), ::getegid()), 0);
        }
    }
    // As the resource does it.
    void add(const std::string& commit) {
        const auto added = add_worktree(preview, mirror.folder(), commit);
        ASSERT_TRUE(added) << added.error().message;
        hand_over(tree_folder(preview));
        hand_over(admin_folder(preview));
    }
    // Runs in the tree as its owner, with nothing but `env`.
    static Result<process::Output> run_in(const std::filesystem::path& where,
                                          const std::vector<std::string>& argv,
                                          const std::vector<std::string>& env) {
        process::Command command;
        if (::geteuid() == 0) {
            command.argv = {"setpriv",        "--reuid=2000001", "--regid=2000001",
                            "--clear-groups", "--no-new-privs",  "--"};
        }
        command.argv.insert(command.argv.end(), argv.begin(), argv.end());
        command.env = env;
        command.cwd = tree_folder(where);
        return process::run_command(command, soon());
    }
    process::Output in_tree(const std::vector<std::string>& argv) const {
        return run_in(preview, argv, tree_git_env(tree_folder(preview))).value();
    }
    void check_out(const std::string& commit) const {
        const auto output = in_tree(checkout_argv(commit));
        EXPECT_EQ(output.exit_code, 0) << output.err;
        EXPECT_EQ(output.err, "");
        EXPECT_EQ(worktree_head(preview), commit);
    }
    bool clean() const {
        const auto output = in_tree(status_argv());
        EXPECT_EQ(output.exit_code, 0) << output.err;
        for (const auto line : split(output.out, '\n')) {
            if (!line.empty() && !line.starts_with("# ")) {
                return false;
            }
        }
        return true;
    }
    // As the tree's owner, so that an update may change it.
    void edit(const std::string& file, const std::string& text) const {
        test::write(tree_folder(preview) / file, text);
        hand_over(tree_folder(preview));
    }
    std::string read(const std::string& file) const {
        return test::slurp(tree_folder(preview) / file);
    }
    bool there(const std::string& file) const {
        return std::filesystem::exists(
            std::filesystem::symlink_status(tree_folder(preview) / file));
    }

    TempFolder folder;
    Repo repo{folder / "r"};
    Mirror mirror{folder / "m.git"};
    std::filesystem::path preview;
    std::string first;
    std::string second;
};

TEST_F(Worktree, FirstCheckoutUnderAForeignMirror) {
    add(first);
    EXPECT_TRUE(worktree_intact(preview, mirror.folder()));
    EXPECT_EQ(worktree_head(preview), first);
    EXPECT_FALSE(there("a"));
    check_out(first);
    EXPECT_EQ(read("a"), "one\n");
    EXPECT_TRUE(there("dir/deep/file"));
    EXPECT_EQ(std::filesystem::read_symlink(tree_folder(preview) / "link"), "a");
    EXPECT_TRUE(clean());
}

TEST_F(Worktree, MovesBothWaysAndKeepsWhatIsIgnored) {
    add(first);
    check_out(first);
    edit("node_modules/m/index.js", "dep");
    edit("debug.log", "log");
    edit("notes.txt", "untracked");
    edit("a", "local change\n");
    edit("dir/deep/file", "local change\n");
    edit("fresh", "an untracked file where the next commit has a folder");
    check_out(second);
    EXPECT_EQ(read("a"), "two\n");
    EXPECT_FALSE(there("gone"));
    EXPECT_EQ(read("dir"), "now a file\n");
    EXPECT_EQ(read("fresh/new"), "n\n");
    EXPECT_EQ(std::filesystem::read_symlink(tree_folder(preview) / "link"), "run.sh");
    EXPECT_NE(std::filesystem::status(tree_folder(preview) / "run.sh").permissions() &
                  std::filesystem::perms::owner_exec,
              std::filesystem::perms::none);
    EXPECT_EQ(read("node_modules/m/index.js"), "dep");
    EXPECT_EQ(read("debug.log"), "log");
    EXPECT_EQ(read("notes.txt"), "untracked");
    check_out(first);
    EXPECT_EQ(read("a"), "one\n");
    EXPECT_TRUE(there("gone"));
    EXPECT_TRUE(there("dir/deep/file"));
    EXPECT_EQ(std::filesystem::status(tree_folder(preview) / "run.sh").permissions() &
                  std::filesystem::perms::owner_exec,
              std::filesystem::perms::none);
    EXPECT_EQ(read("node_modules/m/index.js"), "dep");
}

TEST_F(Worktree, NeverWritesTheMirror) {
    const auto snapshot = [&] {
        std::string all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(mirror.folder())) {
            struct stat info{};
            EXPECT_EQ(::lstat(entry.path().c_str(), &info), 0);
            all += entry.path().string() + " " + std::to_string(info.st_mtim.tv_sec) + "." +
                   std::to_string(info.st_mtim.tv_nsec) + " " + std::to_string(info.st_size) + "\n";
        }
        return all;
    };
    const std::string before = snapshot();
    add(first);
    check_out(first);
    check_out(second);
    EXPECT_TRUE(clean());
    EXPECT_EQ(snapshot(), before);
    if (::geteuid() == 0) {
        const auto written = in_tree({"git", "commit", "--allow-empty", "-m", "x"});
        EXPECT_NE(written.exit_code, 0);
        EXPECT_EQ(snapshot(), before);
    }
}

TEST_F(Worktree, RunsNoHooksAndNoFilters) {
    repo.write(".gitattributes", "* filter=evil\n");
    const std::string commit = repo.commit("attributes");
    push();
    add(first);
    const std::string mark = (folder / "ran").string();
    for (const char* hook : {"post-checkout", "reference-transaction", "fsmonitor-watchman"}) {
        const auto path = mirror.folder() / "hooks" / hook;
        test::write(path, "#!/bin/sh\ntouch " + mark + "\n");
        std::filesystem::permissions(path, std::filesystem::perms(0755));
    }
    check_out(commit);
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(Worktree, CommitThatIsMissingFailsAndMovesNothing) {
    add(first);
    check_out(first);
    const auto output = in_tree(checkout_argv(std::string(40, '1')));
    EXPECT_NE(output.exit_code, 0);
    EXPECT_EQ(worktree_head(preview), first);
}

TEST_F(Worktree, AddMendsWhateverIsLeft) {
    add(first);
    check_out(first);
    edit("node_modules/m", "dep");
    const auto admin = admin_folder(preview);
    // One after another: what is broken, then repaired by add + checkout.
    const std::vector<std::function<void()>> faults = {
        [&] { std::filesystem::remove(tree_folder(preview) / ".git"); },
        [&] { test::write(tree_folder(preview) / ".git", "gitdir: /elsewhere\n"); },
        [&] { std::filesystem::remove(admin / "HEAD"); },
        [&] { test::write(admin / "HEAD", ""); },
        [&] { test::write(admin / "index.lock", ""); },
        [&] { test::write(admin / "HEAD.lock", "x"); },
        [&] { test::write(admin / "commondir", "/nowhere\n"); },
        [&] { test::write(admin / "HEAD.st-tmp", "half"); },
        [&] {
            std::filesystem::remove(admin / "HEAD");
            EXPECT_EQ(::mkfifo((admin / "HEAD").c_str(), 0644), 0);
            EXPECT_EQ(worktree_head(preview), "");    // does not block
        },
        [&] {
            std::filesystem::remove(tree_folder(preview) / ".git");
            std::filesystem::create_symlink("/etc/passwd", tree_folder(preview) / ".git");
        }};
    for (std::size_t i = 0; i < faults.size(); ++i) {
        SCOPED_TRACE(i);
        faults[i]();
        take_back(tree_folder(preview));
        if (std::filesystem::exists(admin)) {
            take_back(admin);
        }
        add(second);
        check_out(second);
        EXPECT_TRUE(clean());
        EXPECT_TRUE(worktree_intact(preview, mirror.folder()));
        EXPECT_EQ(read("node_modules/m"), "dep");
    }
}

TEST_F(Worktree, AddRefusesWhatIsNoFolder) {
    test::write(preview / "tree", "a file of somebody");
    EXPECT_EQ(add_worktree(preview, mirror.folder(), first).error().code, Code::conflict);
    std::filesystem::remove(preview / "tree");
    std::filesystem::create_symlink(folder.path(), preview / "tree");
    EXPECT_EQ(add_worktree(preview, mirror.folder(), first).error().code, Code::conflict);
    EXPECT_EQ(add_worktree(preview, mirror.folder(), "HEAD").error().code, Code::invalid);
}

TEST_F(Worktree, TwentyAtOnceAllSucceed) {
    std::vector<std::thread> threads;
    std::atomic<int> fine = 0;
    for (int i = 0; i < 20; ++i) {
        const auto where = folder / ("many" + std::to_string(i));
        std::filesystem::create_directory(where);
        threads.emplace_back([this, where, i, &fine] {
            const std::string& commit = i % 2 == 0 ? first : second;
            if (!add_worktree(where, mirror.folder(), commit)) {
                return;
            }
            hand_over(tree_folder(where));
            hand_over(admin_folder(where));
            const auto output =
                run_in(where, checkout_argv(commit), tree_git_env(tree_folder(where)));
            fine += output && output->exit_code == 0 && worktree_head(where) == commit ? 1 : 0;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(fine, 20);
}

// SIGKILL between the files that add makes, in a child of its own.
TEST_F(Worktree, AddKilledAtAnyPointIsRepeatable) {
    if (const std::string at = test::from_env("SEATRIAL_TEST_ADD"); !at.empty()) {
        ASSERT_TRUE(add_worktree(at, test::from_env("SEATRIAL_TEST_MIRROR"),
                                 test::from_env("SEATRIAL_TEST_COMMIT")));
        return;
    }
    for (const char* point : {"worktree.add.folders", "worktree.add.admin"}) {
        process::Command child;
        child.argv = {std::filesystem::read_symlink("/proc/self/exe").string(),
                      "--gtest_filter=Worktree.AddKilledAtAnyPointIsRepeatable"};
        child.env = {"TMPDIR=" + folder.path().string(), "SEATRIAL_TEST_ADD=" + preview.string(),
                     "SEATRIAL_TEST_MIRROR=" + mirror.folder().string(),
                     "SEATRIAL_TEST_COMMIT=" + first,
                     std::string("SEATRIAL_FAILPOINTS=") + point + "=kill"};
        EXPECT_EQ(process::run_command(child, soon()).value().exit_code, 128 + SIGKILL) << point;
        EXPECT_FALSE(worktree_intact(preview, mirror.folder()));
        add(first);
        check_out(first);
        EXPECT_TRUE(clean());
        std::filesystem::remove_all(preview);
        std::filesystem::create_directory(preview);
    }
}

// Kills a real checkout of many files after more and more of them have appeared.
TEST_F(Worktree, CheckoutKilledAtAnyMomentIsRepeatable) {
    for (int i = 0; i < 1500; ++i) {
        repo.write("many/" + std::to_string(i % 37) + "/" + std::to_string(i), std::to_string(i));
    }
    const std::string big = repo.commit("many");
    push();
    int killed = 0;
    for (const int files : {0, 1, 5, 20, 36}) {
        std::filesystem::remove_all(preview);
        std::filesystem::create_directory(preview);
        add(first);
        check_out(first);
        CancelSource cancel;
        std::thread killer([&] {
            // run_command kills the process group with SIGKILL when its context ends.
            const auto seen = tree_folder(preview) / "many" / std::to_string(files);
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
            while (!std::filesystem::exists(files == 0 ? admin_folder(preview) / "index.lock"
                                                       : seen) &&
                   std::chrono::steady_clock::now() < deadline) {
                std::this_thread::yield();
            }
            cancel.cancel();
        });
        process::Command command;
        if (::geteuid() == 0) {
            command.argv = {"setpriv", "--reuid=2000001", "--regid=2000001", "--clear-groups",
                            "--"};
        }
        const auto argv = checkout_argv(big);
        command.argv.insert(command.argv.end(), argv.begin(), argv.end());
        command.env = tree_git_env(tree_folder(preview));
        command.cwd = tree_folder(preview);
        const auto output = process::run_command(command, cancel.context());
        killer.join();
        if (!output) {
            ++killed;
            EXPECT_NE(worktree_head(preview), big);    // HEAD moves last
        }
        for (const auto& lock : worktree_locks(preview)) {
            std::filesystem::remove(lock);
        }
        check_out(big);
        EXPECT_TRUE(clean());
    }
    EXPECT_GE(killed, 3);
}

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
