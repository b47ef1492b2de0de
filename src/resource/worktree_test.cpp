// Type worktree against the real helper: as root with a uid per preview, and as an ordinary user.
#include "resource/worktree.h"

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
#include "support/ordinary_user.h"

namespace seatrial::resource {
namespace {

namespace fs = std::filesystem;
using git::test::Repo;
using git::test::slurp;
using git::test::soon;
using nlohmann::json;
using plan::Presence;

constexpr const char* instance = "tstwtr";

// Folders whose rights an app has taken away cannot be emptied without root.
void unlock(const fs::path& folder) {
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

TEST_P(WorktreeWorlds, LivesMovesAndGoes) {
    in_child([](const fs::path& base) {
        const House house(base);
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::absent);
        house.create(house.spec(house.first));
        EXPECT_EQ(house.read("a"), "one\n");
        const std::string owner =
            std::to_string(house.runner->privileged() ? house.runner->uid_of(3) : ::geteuid());
        for (const char* path : {"tree", "tree/a", "tree/.git", "git", "git/HEAD", "git/index"}) {
            EXPECT_EQ(house.owner_of(house.home() / path), owner) << path;
        }
        EXPECT_EQ(house.owner_of(house.home()), std::to_string(::geteuid()));
        EXPECT_EQ(house.type->list("host", soon()).value(), std::vector<std::string>{house.name()});
        const auto made = fs::last_write_time(house.home() / "spec");
        house.create(house.spec(house.first));
        EXPECT_EQ(fs::last_write_time(house.home() / "spec"), made) << "done twice";

        house.app("mkdir node_modules; echo dep > node_modules/m; echo local > a");
        house.create(house.spec(house.second));
        EXPECT_EQ(house.read("a"), "two\n");
        EXPECT_FALSE(fs::exists(house.tree() / "gone"));
        EXPECT_EQ(house.read("node_modules/m"), "dep\n");
        house.create(house.spec(house.first));
        EXPECT_TRUE(fs::exists(house.tree() / "gone"));

        const auto removal = house.destroy();
        EXPECT_EQ(removal.note, "moved to trash");
        EXPECT_GT(removal.trash_bytes, 0);
        EXPECT_EQ(house.trash(), std::vector<std::string>{house.name() + "-0"});
        EXPECT_EQ(house.destroy().note, "was not there");
        house.create(house.spec(house.second));
        house.destroy();
        EXPECT_EQ(house.trash().size(), 2U);
        EXPECT_TRUE(house.type->list("host", soon()).value().empty());
    });
}

TEST_P(WorktreeWorlds, UnsavedWorkIsKept) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app(
            "echo changed > a; echo new > 'new file'; mkdir node_modules; echo x > node_modules/m");
        const auto removal = house.destroy();
        EXPECT_NE(removal.note.find("refs/st/salvage/" + house.name()), std::string::npos)
            << removal.note;
        const auto saved =
            git::read_ref(house.mirror().folder(), "refs/st/salvage/" + house.name()).value();
        ASSERT_FALSE(saved.empty());
        EXPECT_EQ(house.mirror().read_blob(saved, "a", soon()).value(), "changed\n");
        EXPECT_EQ(house.mirror().read_blob(saved, "new file", soon()).value(), "new\n");
        EXPECT_FALSE(house.mirror().read_blob(saved, "node_modules/m", soon()));
    });
}

TEST_P(WorktreeWorlds, KilledUpdateIsNobodysWork) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        // As if the daemon had died between checkout and record.
        json record = json::parse(slurp(house.home() / "spec"));
        record["spec"] = "";
        record["next"] = house.second;
        git::test::write(house.home() / "spec", record.dump());
        house.app("echo " + house.second +
                  " > ../git/HEAD; git -c safe.directory='*' reset -q --hard");
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::partial);
        EXPECT_EQ(house.destroy().note, "moved to trash");    // nothing of anybody's
    });
}

// There the app and the mirror have one user, so it can commit.
TEST_P(WorktreeWithoutRoot, LocalCommitsAreKeptWhenTheTreeMoves) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app(
            "echo mine > a; GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@y GIT_COMMITTER_NAME=x "
            "GIT_COMMITTER_EMAIL=x@y git commit -qam mine");
        const std::string local = git::worktree_head(house.home());
        ASSERT_NE(local, house.first);
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::partial);
        std::string told;
        const auto made = house.type->create(
            house.ref(), house.spec(house.second), [&told](std::string_view line) { told = line; },
            soon());
        ASSERT_TRUE(made) << render_error(made.error());
        EXPECT_NE(told.find("local commits kept"), std::string::npos) << told;
        EXPECT_EQ(house.mirror().read_blob(local, "a", soon()).value(), "mine\n");
        EXPECT_EQ(git::read_ref(house.mirror().folder(), "refs/st/salvage/" + house.name()).value(),
                  local);
        house.destroy();
    });
}

TEST_P(WorktreeWorlds, WhateverAnAppDoesToItsTreeIsMended) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        const std::vector<std::string> faults = {"rm .git",
                                                 "rm -rf .git; mkdir .git; echo x > .git/config",
                                                 "rm ../git/HEAD; mkdir ../git/HEAD",
                                                 "rm ../git/index; mkdir ../git/index",
                                                 "chmod 700 . ../git",
                                                 "chmod 000 ../git",
                                                 "rm ../git/HEAD; mkfifo ../git/HEAD",
                                                 "echo garbage > ../git/index",
                                                 "rm ../git/index",
                                                 "touch ../git/index.lock",
                                                 "rm -rf ../git/*",
                                                 "rm -rf * .git .gitignore",
                                                 "echo 'ref: refs/heads/x' > ../git/HEAD",
                                                 "rm .git; ln -s /etc/passwd .git",
                                                 "rm ../git/HEAD; ln -s /etc/passwd ../git/HEAD",
                                                 "printf '/etc' > ../git/commondir",
                                                 "chmod -R a-w ."};
        bool even = false;
        for (const auto& fault : faults) {
            SCOPED_TRACE(fault);
            house.app(fault);
            EXPECT_TRUE(house.type->observe(house.ref(), soon()));
            even = !even;
            house.create(house.spec(even ? house.second : house.first));
            EXPECT_EQ(house.read("a"), even ? "two\n" : "one\n");
            EXPECT_EQ(fs::exists(house.tree() / "gone"), !even);
            house.app("git -c safe.directory='*' diff --quiet HEAD 2>/dev/null");
        }
        for (const auto& fault : faults) {
            SCOPED_TRACE(fault);
            house.app(fault);
            house.destroy();
            house.create(house.spec(house.first));
        }
        house.destroy();
    });
}

TEST_P(WorktreeWorlds, FreshDropsWhatIsIgnoredToo) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app("mkdir node_modules; echo dep > node_modules/m; echo u > untracked");
        json fresh = house.spec(house.second);
        fresh["fresh"] = true;
        house.create(fresh);
        EXPECT_FALSE(fs::exists(house.tree() / "node_modules"));
        EXPECT_FALSE(fs::exists(house.tree() / "untracked"));
        house.app("mkdir node_modules");
        house.create(fresh);    // the same wish again keeps what stands
        EXPECT_TRUE(fs::exists(house.tree() / "node_modules"));
        house.destroy();
    });
}

TEST_P(WorktreeWorlds, AnotherSlotAndAnotherRepository) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first, 3));
        house.create(house.spec(house.first, 4));
        if (house.runner->privileged()) {
            EXPECT_EQ(house.owner_of(house.tree() / "a"), std::to_string(house.runner->uid_of(4)));
        }
        const git::Mirror other = house.mirror("other.git");
        ASSERT_TRUE(other.ensure(soon()));
        house.push(other);
        json moved = house.spec(house.second, 4);
        moved["mirror"] = "other.git";
        house.create(moved);
        EXPECT_EQ(slurp(house.home() / "git/commondir"), other.folder().string() + "\n");
        EXPECT_FALSE(fs::exists(house.tree() / "gone"));
        house.destroy();
    });
}

TEST_P(WorktreeWorlds, MissingCommitFailsAndLeavesARemovableRest) {
    in_child([](const fs::path& base) {
        const House house(base);
        const std::string missing(40, '7');
        const auto made = house.type->create(house.ref(), house.spec(missing), {}, soon());
        ASSERT_FALSE(made);
        EXPECT_NE(made.error().message.find("cannot check out"), std::string::npos);
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::partial);
        house.create(house.spec(house.first));
        EXPECT_FALSE(house.type->create(house.ref(), house.spec(missing), {}, soon()));
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::partial);
        EXPECT_EQ(house.destroy().note, "moved to trash");
    });
}

TEST_P(WorktreeWorlds, BadSpecsAreRefused) {
    in_child([](const fs::path& base) {
        const House house(base);
        for (const char* mirror : {"", "..", "../x", "/etc", "a/b", "-x", ".git", "a\nb"}) {
            json spec = house.spec(house.first);
            spec["mirror"] = mirror;
            EXPECT_EQ(house.type->create(house.ref(), spec, {}, soon()).error().code,
                      Code::invalid);
        }
        for (const char* commit : {"", "HEAD", "main", "--upload-pack=x"}) {
            EXPECT_EQ(house.type->create(house.ref(), house.spec(commit), {}, soon()).error().code,
                      Code::invalid);
        }
        EXPECT_EQ(house.type->create(house.ref(), json::object(), {}, soon()).error().code,
                  Code::internal);
        EXPECT_FALSE(fs::exists(house.data() / "previews" / house.name()));
    });
}

TEST_P(WorktreeWorlds, ForeignThingsAreLeftAlone) {
    in_child([](const fs::path& base) {
        const House house(base);
        fs::create_directories(house.data() / "previews");
        git::test::write(house.home(), "somebody's file");
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::foreign);
        EXPECT_EQ(house.type->create(house.ref(), house.spec(house.first), {}, soon()).error().code,
                  Code::conflict);
        EXPECT_EQ(house.type->destroy(house.ref(), soon()).error().code, Code::conflict);
        EXPECT_EQ(slurp(house.home()), "somebody's file");
        fs::remove(house.home());
        fs::create_directory_symlink(base, house.home());
        EXPECT_EQ(house.type->observe(house.ref(), soon()).value().presence, Presence::foreign);
        EXPECT_EQ(house.type->destroy(house.ref(), soon()).error().code, Code::conflict);
        EXPECT_TRUE(fs::exists(base / "helper"));
        fs::remove(house.home());
    });
}

TEST_P(WorktreeAsRoot, NothingIsMovedFromUnderAMount) {
    in_child([](const fs::path& base) {
        const House house(base);
        house.create(house.spec(house.first));
        house.app("mkdir node_modules");
        for (const char* folder : {"lower", "upper", "work"}) {
            fs::create_directories(house.data() / "scratch" / folder);
        }
        const auto scratch = house.data() / "scratch";
        const auto target = house.tree() / "node_modules";
        const auto mounted = house.runner->mount(scratch / "lower", scratch / "upper",
                                                 scratch / "work", target, soon());
        if (!mounted) {
            std::printf("no overlay here: %s\n", mounted.error().message.c_str());
            EXPECT_EQ(mounted.error().code, Code::unavailable);
            house.destroy();
            return;
        }
        EXPECT_EQ(house.type->destroy(house.ref(), soon()).error().code, Code::conflict);
        json fresh = house.spec(house.second);
        fresh["fresh"] = true;
        EXPECT_EQ(house.type->create(house.ref(), fresh, {}, soon()).error().code, Code::conflict);
        EXPECT_TRUE(fs::exists(house.tree()));
        house.create(house.spec(house.second));    // a move leaves the mount in place
        EXPECT_TRUE(house.runner->umount(target, soon()));
        house.destroy();
        for (const char* folder : {"lower", "upper", "work"}) {
            EXPECT_TRUE(house.runner->remove(scratch / folder, soon()));
        }
    });
}

TEST_P(WorktreeWorlds, TwentyAtOnceAllSucceed) {
    in_child([](const fs::path& base) {
        const House house(base);
        std::vector<std::thread> threads;
        std::atomic<int> ready = 0;
        for (int i = 0; i < 20; ++i) {
            threads.emplace_back([&house, &ready, i] {
                const std::string text = "t" + std::to_string(i);
                const auto wanted = house.spec(i % 2 == 0 ? house.first : house.second, i);
                const auto made = house.type->create(house.ref(text), wanted, {}, soon());
                EXPECT_TRUE(made) << render_error(made.error());
                const auto seen = house.type->observe(house.ref(text), soon());
                ready += seen && seen->spec_hash == plan::spec_hash(wanted) ? 1 : 0;
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        EXPECT_EQ(ready, 20);
        EXPECT_EQ(house.type->list("host", soon()).value().size(), 20U);
        for (int i = 0; i < 20; ++i) {
            house.destroy("t" + std::to_string(i));
        }
    });
}

TEST_P(WorktreeWorlds, CancelledCreateStopsGitAndIsRepeatable) {
    in_child([](const fs::path& base) {
        const House house(base);
        for (int i = 0; i < 3000; ++i) {
            house.repo->write("many/" + std::to_string(i), "x");
        }
        const std::string many = house.repo->commit("many");
        house.push(house.mirror());
        CancelSource cancel;
        std::thread killer([&] {
            const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
            while (!fs::exists(house.home() / "git/index.lock") &&
                   std::chrono::steady_clock::now() < end) {
                std::this_thread::yield();
            }
            cancel.cancel();
        });
        const auto made = house.type->create(house.ref(), house.spec(many), {}, cancel.context());
        killer.join();
        EXPECT_FALSE(made);
        house.create(house.spec(many));
        EXPECT_TRUE(fs::exists(house.tree() / "many/2999"));
        house.app("git -c safe.directory='*' diff --quiet HEAD 2>/dev/null");
        house.destroy();
    });
}

// A uid per preview needs root.
std::vector<bool> worlds() {
    return ::geteuid() == 0 ? std::vector<bool>{false, true} : std::vector<bool>{false};
}
std::vector<bool> root_world() {
    return ::geteuid() == 0 ? std::vector<bool>{true} : std::vector<bool>{};
}
std::string world_name(const testing::TestParamInfo<bool>& about) {
    return about.param ? "Root" : "Ordinary";
}
INSTANTIATE_TEST_SUITE_P(Worlds, WorktreeWorlds, testing::ValuesIn(worlds()), world_name);
INSTANTIATE_TEST_SUITE_P(Worlds, WorktreeWithoutRoot, testing::Values(false), world_name);
INSTANTIATE_TEST_SUITE_P(Worlds, WorktreeAsRoot, testing::ValuesIn(root_world()), world_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WorktreeAsRoot);

}    // namespace
}    // namespace seatrial::resource
