// Trees in trouble: damage, strangers, crowds, cancellation. worktree_test.cpp says in which
// worlds these run, too.
#include "resource/worktree_fixture.h"

namespace seatrial::resource {
namespace {

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

}    // namespace
}    // namespace seatrial::resource
