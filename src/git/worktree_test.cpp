#include "git/worktree.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "git/worktree_fixture.h"

namespace seatrial::git {
namespace {

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

}    // namespace
}    // namespace seatrial::git
