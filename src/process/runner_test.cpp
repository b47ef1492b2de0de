#include "process/runner.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/text.h"
#include "process/proc.h"
#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;
using ::testing::Values;

INSTANTIATE_TEST_SUITE_P(All, RunnerWorlds,
                         Values(World{"root", true, "auto"}, World{"root_v1", true, "v1"},
                                World{"root_without_cgroups", true, "none"},
                                World{"user", false, "auto"}),
                         [](const auto& info) { return info.param.name; });

TEST_P(RunnerWorlds, RunsACommandAndKeepsItsOutputAndCode) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "one", "echo out; echo err >&2; pwd; exit 7");
        const auto ended = runner->run(spec, soon());
        ASSERT_OK(ended);
        EXPECT_EQ(ended->phase, RunPhase::exited);
        EXPECT_EQ(ended->exit_code, 7);
        EXPECT_EQ(ended->uid, runner->uid_of(spec.uid_slot));
        EXPECT_EQ(ended->boot_id, boot_id());
        EXPECT_FALSE(ended->oom_killed);
        EXPECT_LE(ended->started_at, ended->finished_at);
        EXPECT_EQ(log_of("one"),
                  "out\nerr\n" + std::filesystem::canonical(data_).string() + "/previews/tree\n");
        EXPECT_EQ(runner->list(), std::vector{spec.name});
        ASSERT_OK(runner->forget(spec.name, soon()));
        EXPECT_EQ(runner->observe(spec.name)->phase, RunPhase::absent);
        EXPECT_EQ(runner->list(), std::vector<std::string>{});
        EXPECT_OK(runner->forget(spec.name, soon()));
        EXPECT_OK(runner->kill(spec.name, milliseconds(0), soon()));
    });
}

TEST_P(RunnerWorlds, GivesTheCommandExactlyItsEnvironmentAndThreeDescriptors) {
    in_child(GetParam(), [this] {
        ::setenv("LEAK", "secret", 1);
        ::setenv("SEATRIAL_FAILPOINT_RECORD", (base_ / "record").c_str(), 1);
        auto runner = open();
        RunSpec spec = shell(*runner, "env", "");
        spec.argv = {"env"};
        spec.env = {"B=2", "PATH=/usr/bin:/bin", "A=one two"};
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 0);
        EXPECT_EQ(log_of("env"), "B=2\nPATH=/usr/bin:/bin\nA=one two\n");
        RunSpec fds = shell(*runner, "fds", "");
        fds.argv = {"ls", "/proc/self/fd"};
        EXPECT_EQ(runner->run(fds, soon())->exit_code, 0);
        EXPECT_EQ(log_of("fds"), "0\n1\n2\n3\n");    // 3 is the folder that ls reads
        RunSpec in = shell(*runner, "stdin", "readlink /proc/self/fd/0; cat");
        EXPECT_EQ(runner->run(in, soon())->exit_code, 0);
        EXPECT_EQ(log_of("stdin"), "/dev/null\n");
        for (const auto& name : {spec.name, fds.name, in.name}) {
            EXPECT_OK(runner->forget(name, soon()));
        }
    });
}

TEST_P(RunnerWorlds, TakesPrivilegesAway) {
    in_child(GetParam(), [this] {
        auto runner = open();
        EXPECT_NE(::setuid(0), 0);
        EXPECT_NE(::getuid(), 0U);
        RunSpec spec = shell(*runner, "status", "");
        spec.argv = {"cat", "/proc/self/status"};
        spec.limits.open_files = 123;
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 0);
        const std::string status = log_of("status");
        const std::string uid = std::to_string(runner->uid_of(spec.uid_slot));
        EXPECT_NE(status.find("Uid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid),
                  std::string::npos);
        EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos);
        EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos);
        EXPECT_NE(status.find("CapPrm:\t0000000000000000"), std::string::npos);
        EXPECT_NE(status.find("SigBlk:\t0000000000000000"), std::string::npos);
        EXPECT_NE(status.find("SigIgn:\t0000000000000000"), std::string::npos);
        if (runner->isolation().seccomp) {
            EXPECT_NE(status.find("Seccomp:\t2"), std::string::npos);
        }
        RunSpec limits = shell(*runner, "limits", "ulimit -n; ulimit -c");
        limits.limits.open_files = 123;
        EXPECT_EQ(runner->run(limits, soon())->exit_code, 0);
        EXPECT_EQ(log_of("limits"), "123\n0\n");
        EXPECT_OK(runner->forget(spec.name, soon()));
        EXPECT_OK(runner->forget(limits.name, soon()));
    });
}

TEST_P(RunnerWorlds, SaysInTheLogWhyAProgramCannotStart) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "none", "");
        spec.argv = {"no-such-program"};
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 127);
        EXPECT_NE(log_of("none").find("'no-such-program'"), std::string::npos);
        RunSpec denied = shell(*runner, "denied", "");
        denied.argv = {"/etc/passwd"};
        EXPECT_EQ(runner->run(denied, soon())->exit_code, 126);
        EXPECT_NE(log_of("denied").find("Permission denied"), std::string::npos);
        EXPECT_OK(runner->forget(spec.name, soon()));
        EXPECT_OK(runner->forget(denied.name, soon()));
    });
}

TEST_P(RunnerWorlds, StartsANameOnlyOnceAndReplacesAnEndedRun) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const RunSpec spec = shell(*runner, "twice", "echo started; exec sleep 1000");
        ASSERT_OK(runner->start(spec, soon()));
        const auto first = runner->observe(spec.name);
        ASSERT_OK(first);
        EXPECT_EQ(first->phase, RunPhase::running);
        EXPECT_GT(first->shim, 0);
        EXPECT_EQ(runner->start(spec, soon()).error().code, Code::conflict);
        EXPECT_EQ(runner->forget(spec.name, soon()).error().code, Code::conflict);
        EXPECT_TRUE(eventually([&] { return runner->pids(spec.name)->size() == 1; }));
        const auto usage = runner->usage(spec.name);
        EXPECT_EQ(usage->processes, 1);
        EXPECT_GT(usage->memory_bytes, 0);
        ASSERT_OK(runner->kill(spec.name, milliseconds(5000), soon()));
        const auto ended = runner->observe(spec.name);
        EXPECT_EQ(ended->phase, RunPhase::exited);
        EXPECT_EQ(ended->exit_code, 128 + SIGTERM);
        EXPECT_TRUE(runner->pids(spec.name)->empty());
        ASSERT_OK(runner->start(spec, soon()));
        EXPECT_NE(runner->observe(spec.name)->shim, first->shim);
        ASSERT_OK(runner->kill(spec.name, milliseconds(0), soon()));
        EXPECT_EQ(runner->observe(spec.name)->exit_code, 128 + SIGKILL);
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, EndsATreeThatHidesAndIgnoresTerm) {
    in_child(GetParam(), [this] {
        auto runner = open();
        // Each stands in a session of its own below a parent that has ended.
        const RunSpec spec =
            shell(*runner, "hidden",
                  "trap '' TERM; for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM; "
                  "(setsid sleep 1000 &) ; sleep 1000' &); done; sleep 1000; "
                  "while :; do sleep 1000; done");
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return runner->pids(spec.name)->size() >= 8; }));
        const auto begin = std::chrono::steady_clock::now();
        ASSERT_OK(runner->kill(spec.name, milliseconds(100), soon()));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
        EXPECT_TRUE(runner->pids(spec.name)->empty());
        EXPECT_EQ(runner->observe(spec.name)->phase, RunPhase::exited);
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, LeavesTheGraceToTheApp) {
    in_child(GetParam(), [this] {
        auto runner = open();
        // The main process ends at once on TERM, the worker needs longer than the shim would
        // give it, and must see TERM only once.
        const RunSpec spec =
            shell(*runner, "grace",
                  "trap 'exit 3' TERM; "
                  "sh -c 'exec 2>/dev/null; trap \"echo term; sleep 1; echo bye; exit 0\" TERM; "
                  "echo ready; while :; do sleep 0.05; done' & wait");
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return log_of("grace") == "ready\n"; }));
        ASSERT_OK(runner->kill(spec.name, milliseconds(10000), soon()));
        EXPECT_EQ(runner->observe(spec.name)->exit_code, 3);
        EXPECT_EQ(log_of("grace"), "ready\nterm\nbye\n");
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, EndsWhatTheCommandLeavesBehind) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const RunSpec spec =
            shell(*runner, "rest",
                  "setsid sh -c 'trap \"\" TERM; echo up; exec sleep 1000' & read x < fifo");
        ASSERT_OK(runner->start(spec, soon()));    // ends by itself: there is no fifo
        const auto ended = runner->wait(spec.name, soon());
        ASSERT_OK(ended);
        EXPECT_NE(ended->exit_code, 0);
        EXPECT_TRUE(runner->pids(spec.name)->empty());
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, EndsAtTheDeadlineAndWhenCancelled) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const RunSpec spec = shell(*runner, "late", "sleep 1000");
        const auto late = runner->run(spec, Context().with_timeout(milliseconds(300)));
        EXPECT_EQ(late.error().code, Code::timed_out);
        EXPECT_EQ(runner->observe(spec.name)->exit_code, 128 + SIGTERM);
        CancelSource source;
        std::jthread canceller([&] {
            eventually([&] { return runner->observe(spec.name)->phase == RunPhase::running; });
            source.cancel();
        });
        EXPECT_EQ(runner->run(spec, source.context()).error().code, Code::cancelled);
        EXPECT_TRUE(runner->pids(spec.name)->empty());
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, CapsTheLogAndKeepsTheAppRunning) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec =
            shell(*runner, "flood", "head -c 3000000 /dev/zero; echo done > flag; sleep 1000");
        spec.log_bytes = 100000;
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] {
            return log_of("flood").find("further output is dropped") != std::string::npos;
        }));
        EXPECT_TRUE(eventually([&] { return runner->pids(spec.name)->size() == 2; }));
        EXPECT_LT(log_of("flood").size(), 100200U);
        ASSERT_OK(runner->kill(spec.name, milliseconds(1000), soon()));
        // The next run of a full log may still say what happened to it.
        spec.argv[2] = "echo second run";
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 0);
        EXPECT_TRUE(log_of("flood").ends_with("second run\n"));
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, StopsAForkBomb) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "bomb", "f() { f | f & }; f; sleep 1000");
        spec.limits.pids = 40;
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] {
            return log_of("bomb").find("fork") != std::string::npos ||
                   runner->observe(spec.name)->phase == RunPhase::exited;
        }));
        EXPECT_LE(runner->pids(spec.name)->size(), 60U);
        ASSERT_OK(runner->kill(spec.name, milliseconds(0), soon()));
        EXPECT_TRUE(runner->pids(spec.name)->empty());
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(RunnerWorlds, ServesManyThreads) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const RunSpec model = shell(*runner, "x", "");
        std::vector<std::jthread> threads;
        for (int i = 0; i < 6; ++i) {
            threads.emplace_back([&, i] {
                RunSpec spec = model;
                spec.name = name_of("thread" + std::to_string(i));
                spec.log = data_ / "logs" / spec.name;
                for (int round = 0; round < 4; ++round) {
                    spec.argv = {"/bin/sh", "-c", "exit " + std::to_string(i * 10 + round)};
                    const auto ended = runner->run(spec, soon());
                    ASSERT_OK(ended);
                    EXPECT_EQ(ended->exit_code, i * 10 + round);
                }
                EXPECT_OK(runner->forget(spec.name, soon()));
            });
        }
        threads.clear();
        EXPECT_EQ(runner->list(), std::vector<std::string>{});
    });
}

TEST_P(RunnerWorlds, TakesLargeArgumentsAndRefusesLarger) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "large", "echo ${#BIG0} ${#BIG9}");
        for (int i = 0; i < 10; ++i) {
            spec.env.push_back("BIG" + std::to_string(i) + "=" + std::string(100000, 'x'));
        }
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 0);
        EXPECT_EQ(log_of("large"), "100000 100000\n");
        spec.env.push_back("MORE=" + std::string(3 << 20, 'x'));
        EXPECT_EQ(runner->run(spec, soon()).error().code, Code::invalid);
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

}    // namespace
}    // namespace seatrial::process
