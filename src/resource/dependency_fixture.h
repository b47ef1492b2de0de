// A world for the tests of dep-tree and dep-mount: data folder, runner, mirror with one app.
// Opening a runner as root leaves root for good, so every body runs in a child of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/names.h"
#include "git/mirror.h"
#include "git/test_repository.h"
#include "git/worktree.h"
#include "process/runner.h"
#include "resource/dependency_mount.h"
#include "resource/dependency_tree.h"
#include "resource/folders.h"
#include "resource/mount_table.h"
#include "support/ordinary_user.h"

namespace seatrial::resource {

using nlohmann::json;

inline Context soon() {
    return Context().with_timeout(std::chrono::seconds(60));
}

inline std::string slurp(const std::filesystem::path& path) {
    return read_file(path, 16 << 20).value_or("<none>");
}

inline void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::trunc) << text;
}

template <class T>
std::string why(const Result<T>& result) {
    return result ? "" : render_error(result.error()) + " | " + result.error().hint;
}

#define ASSERT_GOOD(...)                              \
    do {                                              \
        const auto& good_ = (__VA_ARGS__);            \
        ASSERT_TRUE(good_.has_value()) << why(good_); \
    } while (false)

class DependencyFixture : public ::testing::TestWithParam<bool> {
protected:
    // The parameter: as root, else as an ordinary user.
    void SetUp() override {
        if (GetParam() && ::geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
        std::string made = "/tmp/st-deps-XXXXXX";
        ASSERT_NE(::mkdtemp(made.data()), nullptr);
        base_ = made;
        ::chmod(made.c_str(), 0777);
        std::filesystem::copy_file(
            std::filesystem::read_symlink("/proc/self/exe").parent_path() / "seatrial-helper",
            base_ / "helper");
        static int counter = 0;
        instance_ = "t" + std::to_string(::getpid() % 100'000) + "y" + std::to_string(++counter);
    }
    void TearDown() override {
        if (base_.empty()) {
            return;
        }
        const auto points = mounted();
        ASSERT_TRUE(points);
        for (const auto& point : *points) {
            EXPECT_FALSE(point.path.string().starts_with(base_.string() + "/"))
                << "left mounted: " << point.path;
        }
        std::error_code error;
        std::filesystem::remove_all(base_, error);
        EXPECT_FALSE(error) << error.message();
    }

    // `faults`: failpoints for the helper.
    void in_child(const std::function<void()>& body, const char* faults = nullptr) {
        std::fflush(nullptr);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            if (!GetParam()) {
                test::leave_root();
            }
            ::setenv("SEATRIAL_HELPER", (base_ / "helper").c_str(), 1);
            if (faults != nullptr) {
                ::setenv("SEATRIAL_FAILPOINTS", faults, 1);
            }
            set_up_world();
            if (!HasFatalFailure()) {
                body();
            }
            // Whatever a failed body left mounted goes with the mounts' own destroy.
            if (mounts_) {
                const auto names = mounts_->list("host", soon());
                for (const auto& name : names.value_or(std::vector<std::string>())) {
                    EXPECT_TRUE(mounts_->destroy({"dep-mount", "host", name}, soon()));
                }
            }
            std::fflush(nullptr);
            ::_exit(HasFailure() ? 1 : 0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
            << "the child failed, see above (status " << status << ")";
    }

    void set_up_world() {
        data_ = base_ / "data";
        auto opened = process::Runner::open({data_, instance_, "60990"});
        ASSERT_GOOD(opened);
        runner_ = std::move(*opened);
        const DatabaseUrl none = [](const auto&, const auto&, const auto&, const Context&) {
            return Result<Secret>(Secret());
        };
        trees_ = std::make_unique<DependencyTree>(*runner_, data_, instance_, none);
        mounts_ = std::make_unique<DependencyMount>(*runner_, data_, instance_);
        repo_ = std::make_unique<git::test::Repo>(base_ / "repo");
        commit({{"package.json", "{}"}, {"packages/a/src", "a"}, {"packages/b/src", "b"}});
    }
    void commit(const std::map<std::string, std::string>& files) {
        for (const auto& [path, text] : files) {
            repo_->write(path, text);
        }
        repo_->commit("files");
        const git::Mirror mirror(data_ / "mirrors" / "app.git");
        ASSERT_GOOD(mirror.ensure(soon()));
        const auto fetched = mirror.fetch(repo_->path().string(), "main", soon());
        ASSERT_GOOD(fetched);
        commit_ = *fetched;
    }

    std::string name_of(const std::string& text) const {
        return make_name(instance_, text, "0123456789abcdef");
    }
    plan::Ref tree_ref(const std::string& text = "tree") const {
        return {"dep-tree", "host", name_of(text)};
    }
    plan::Ref mount_ref(const std::string& text) const {
        return {"dep-mount", "host", name_of("mount-" + text)};
    }
    json tree_spec(const std::string& script, std::vector<std::string> keep) const {
        return {{"mirror", "app.git"},
                {"commit", commit_},
                {"argv", {"/bin/sh", "-c", script}},
                {"keep", std::move(keep)},
                {"uid_slot", 9},
                {"home", (data_ / "homes" / "app").string()},
                {"environment", {{"set", {{"CI", "1"}}}}},
                {"log", (data_ / "logs" / "life" / "install.log").string()}};
    }
    Status install(const std::string& script, std::vector<std::string> keep,
                   const std::string& text = "tree") {
        return trees_->create(tree_ref(text), tree_spec(script, std::move(keep)), quiet_, soon());
    }
    plan::Presence presence(plan::Type& type, const plan::Ref& ref) const {
        const auto seen = type.observe(ref, soon());
        EXPECT_TRUE(seen) << why(seen);
        return seen ? seen->presence : plan::Presence::foreign;
    }

    // A worktree as the type "worktree" lays it out, with the commit's files.
    std::filesystem::path add_worktree(const std::string& text, int slot) {
        const auto folder = data_ / "previews" / name_of(text);
        EXPECT_TRUE(make_dirs(folder, 0711));
        EXPECT_TRUE(git::add_worktree(folder, data_ / "mirrors" / "app.git", commit_));
        const auto tree = git::tree_folder(folder);
        if (runner_->privileged()) {
            EXPECT_TRUE(runner_->own(tree, slot, soon()));
            EXPECT_TRUE(runner_->own(git::admin_folder(folder), slot, soon()));
        }
        process::RunSpec run;
        run.argv = git::checkout_argv(commit_);
        run.env = git::tree_git_env(tree);
        run.writable = {git::admin_folder(folder)};
        EXPECT_EQ(run_in(tree, slot, std::move(run)), "");
        return tree;
    }
    json mount_spec(const std::string& worktree, int slot, const std::string& tree = "tree") const {
        return {{"tree", name_of(tree)},
                {"previews", (data_ / "previews").string()},
                {"worktree", name_of(worktree)},
                {"uid_slot", slot}};
    }
    // What a script prints that runs in a worktree as its owner.
    std::string sh(const std::filesystem::path& tree, int slot, const std::string& script) {
        process::RunSpec run;
        run.argv = {"/bin/sh", "-c", script};
        run.env = {"PATH=/usr/bin:/bin"};
        return run_in(tree, slot, std::move(run));
    }
    std::string run_in(const std::filesystem::path& tree, int slot, process::RunSpec run) {
        static int counter = 0;
        run.name = name_of("run" + std::to_string(++counter));
        run.profile = process::Profile::tool;
        run.uid_slot = runner_->privileged() ? slot : -1;
        run.cwd = tree;
        run.log = data_ / "logs" / run.name;
        const auto ended = runner_->run(run, soon());
        EXPECT_TRUE(ended) << why(ended);
        std::string text = slurp(run.log);
        EXPECT_TRUE(runner_->forget(run.name, soon()));
        return text;
    }
    int overlays() const {
        int count = 0;
        const auto points = mounted();
        for (const auto& point : points.value_or(std::vector<MountPoint>())) {
            count += point.type == "overlay" && point.path.string().starts_with(base_.string());
        }
        return count;
    }
    bool is_root() const { return GetParam(); }

    std::filesystem::path base_;
    std::filesystem::path data_;
    std::string instance_;
    std::string commit_;
    std::unique_ptr<process::Runner> runner_;
    std::unique_ptr<DependencyTree> trees_;
    std::unique_ptr<DependencyMount> mounts_;
    std::unique_ptr<git::test::Repo> repo_;
    plan::Progress quiet_ = [](std::string_view) {};
};

}    // namespace seatrial::resource
