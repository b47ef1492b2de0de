// A repository, its mirror and the tree of a preview's user.
#pragma once

#include <gtest/gtest.h>

#include "git/mirror.h"
#include "git/test_repository.h"
#include "git/worktree.h"

namespace seatrial::git {

using test::Repo;
using test::soon;
using test::TempFolder;

inline constexpr uid_t stranger = 2000001;

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

}    // namespace seatrial::git
