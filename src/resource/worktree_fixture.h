// What tests of type worktree work with: it runs against the real helper: as root with a uid per
// preview, and as an ordinary user.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/names.h"
#include "crypto/crypto.h"
#include "git/mirror.h"
#include "git/test_repository.h"
#include "git/worktree.h"
#include "resource/worktree.h"
#include "support/ordinary_user.h"

namespace seatrial::resource {

namespace fs = std::filesystem;
using git::test::Repo;
using git::test::slurp;
using git::test::soon;
using nlohmann::json;
using plan::Presence;

inline constexpr const char* instance = "tstwtr";

// Folders whose rights an app has taken away cannot be emptied without root.
inline void unlock(const fs::path& folder) {
    ::chmod(folder.c_str(), 0700);
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.is_directory() && !entry.is_symlink()) {
            unlock(entry.path());
        }
    }
}

// Opening a Runner as root leaves root for good: every test body runs in a child.
class WorktreeWorlds : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        char pattern[] = "/tmp/seatrial-wt-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern), nullptr);
        base = pattern;
        ASSERT_EQ(::chmod(pattern, 0777), 0);
        fs::copy_file(fs::read_symlink("/proc/self/exe").parent_path() / "seatrial-helper",
                      base / "helper");
        ::chmod((base / "helper").c_str(), 0755);
    }
    void TearDown() override {
        if (!base.empty()) {
            unlock(base);
            fs::remove_all(base);
        }
    }
    void in_child(void (*body)(const fs::path& base)) {
        std::fflush(nullptr);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            if (!GetParam()) {
                test::leave_root();
            }
            ::setenv("SEATRIAL_HELPER", (base / "helper").c_str(), 1);
            body(base);
            std::fflush(nullptr);
            ::_exit(HasFailure() ? 1 : 0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
            << "the child failed, see above (status " << status << ")";
    }
    fs::path base;
};

class WorktreeWithoutRoot : public WorktreeWorlds {};
class WorktreeAsRoot : public WorktreeWorlds {};

// What a test body works with, in the child.
struct House {
    explicit House(const fs::path& base_folder) : base(base_folder) {
        auto opened = process::Runner::open({data(), instance, "60990"});
        EXPECT_TRUE(opened) << (opened ? "" : render_error(opened.error()));
        if (!opened) {
            std::fflush(nullptr);
            ::_exit(2);
        }
        runner = std::move(*opened);
        type = std::make_unique<Worktree>(*runner, data(), data() / "previews", instance);
        repo = std::make_unique<Repo>(base / "repo");
        repo->write(".gitignore", "node_modules/\n");
        repo->write("a", "one\n");
        repo->write("gone", "x\n");
        first = repo->commit("first");
        fs::remove(*repo / "gone");
        repo->write("a", "two\n");
        second = repo->commit("second");
        EXPECT_TRUE(mirror().ensure(soon()));
        push(mirror());
    }
    ~House() { EXPECT_TRUE(runner->list().value().empty()) << "a run is left"; }
    House(const House&) = delete;
    House& operator=(const House&) = delete;

    fs::path data() const { return base / "data"; }
    git::Mirror mirror(const std::string& name = "app.git") const {
        return git::Mirror(data() / "mirrors" / name);
    }
    void push(const git::Mirror& to) const {
        repo->git({"push", "-q", to.folder().string(), "+HEAD:refs/st/in/x"});
    }
    std::string name(const std::string& text = "tree") const {
        return make_name(instance, text, crypto::sha256_hex(text));
    }
    plan::Ref ref(const std::string& text = "tree") const {
        return {"worktree", "host", name(text)};
    }
    json spec(const std::string& commit, int slot = 3) const {
        return {{"mirror", "app.git"}, {"commit", commit}, {"uid_slot", slot}};
    }
    fs::path home(const std::string& text = "tree") const {
        return data() / "previews" / name(text);
    }
    fs::path tree(const std::string& text = "tree") const { return home(text) / "tree"; }
    void create(const json& wanted, const std::string& text = "tree") const {
        const auto made = type->create(ref(text), wanted, {}, soon());
        ASSERT_TRUE(made) << render_error(made.error());
        const auto seen = type->observe(ref(text), soon());
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->presence, Presence::ready) << seen->detail;
        EXPECT_EQ(seen->spec_hash, plan::spec_hash(wanted));
        EXPECT_EQ(git::worktree_head(home(text)), wanted.at("commit").get<std::string>());
    }
    plan::Removal destroy(const std::string& text = "tree") const {
        const auto removal = type->destroy(ref(text), soon());
        EXPECT_TRUE(removal) << render_error(removal.error());
        EXPECT_FALSE(fs::exists(home(text)));
        EXPECT_EQ(type->observe(ref(text), soon()).value().presence, Presence::absent);
        return removal.value_or(plan::Removal{});
    }
    // As the app: its uid, in its tree.
    void app(const std::string& script, int slot = 3) const {
        process::RunSpec run;
        run.name = name("app");
        run.profile = process::Profile::tool;
        run.argv = {"/bin/sh", "-ec", script};
        run.env = {"PATH=/usr/bin:/bin"};
        run.cwd = tree();
        run.writable = {home() / "git"};
        run.uid_slot = runner->privileged() ? slot : -1;
        run.log = data() / "app.log";
        const auto ended = runner->run(run, soon());
        ASSERT_TRUE(ended) << render_error(ended.error());
        EXPECT_EQ(ended->exit_code, 0) << slurp(run.log);
        EXPECT_TRUE(runner->forget(run.name, soon()));
    }
    std::string owner_of(const fs::path& path) const {
        struct stat info{};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        return std::to_string(info.st_uid);
    }
    std::string read(const std::string& file) const { return slurp(tree() / file); }
    std::vector<std::string> trash() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(data() / "trash")) {
            names.push_back(entry.path().filename());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    fs::path base;
    std::unique_ptr<process::Runner> runner;
    std::unique_ptr<Worktree> type;
    std::unique_ptr<Repo> repo;
    std::string first;
    std::string second;
};

}    // namespace seatrial::resource
