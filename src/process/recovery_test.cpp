// Daemon, helper and shim die; the runs are found, told and ended all the same.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "process/proc.h"
#include "process/run_files.h"
#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;
using ::testing::Values;

class Recovery : public RunnerWorlds {};

INSTANTIATE_TEST_SUITE_P(All, Recovery,
                         Values(World{"root", true, "auto"}, World{"root_v1", true, "v1"},
                                World{"root_without_cgroups", true, "none"},
                                World{"user", false, "auto"}),
                         [](const auto& info) { return info.param.name; });

pid_t helper_of_this_process() {
    for (const pid_t pid : all_pids()) {
        const auto stat = proc_stat(pid);
        const auto name = read_file("/proc/" + std::to_string(pid) + "/comm", 64);
        if (stat && stat->parent == ::getpid() && name && name->starts_with("helper")) {
            return pid;
        }
    }
    return 0;
}

TEST_P(Recovery, AComponentOutlivesTheDaemon) {
    in_child(GetParam(), [this] {
        auto runner = open();
        ASSERT_OK(runner->start(shell(*runner, "app", "echo up; exec sleep 1000"), soon()));
        (void)runner.release();    // dies like a daemon that was killed
    });
    in_child(GetParam(), [this] {
        auto runner = open();
        EXPECT_EQ(runner->list(), std::vector{name_of("app")});
        const auto state = runner->observe(name_of("app"));
        ASSERT_OK(state);
        EXPECT_EQ(state->phase, RunPhase::running);
        EXPECT_TRUE(eventually([&] { return runner->pids(name_of("app"))->size() == 1; }));
        const auto shim = runner->watch(name_of("app"));
        ASSERT_OK(shim);
        ASSERT_OK(runner->kill(name_of("app"), milliseconds(2000), soon()));
        EXPECT_OK(wait_fd(shim->get(), 1, soon()));
        EXPECT_EQ(runner->observe(name_of("app"))->exit_code, 128 + SIGTERM);
        EXPECT_OK(runner->forget(name_of("app"), soon()));
    });
}

TEST_P(Recovery, AToolEndsWithTheDaemon) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec =
            shell(*runner, "tool", "trap '' TERM; echo $$; while :; do sleep 1000; done");
        spec.profile = Profile::tool;
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return !log_of("tool").empty(); }));
        (void)runner.release();
    });
    const Fd lock(::open((data_ / "run" / name_of("tool") / "lock").c_str(), O_RDONLY | O_CLOEXEC));
    if (lock) {
        EXPECT_TRUE(eventually([&] { return !*is_locked(lock); }));
    }
    in_child(GetParam(), [this] {
        auto runner = open();
        EXPECT_TRUE(runner->pids(name_of("tool"))->empty());
        EXPECT_EQ(runner->observe(name_of("tool"))->phase, RunPhase::absent);
    });
}

TEST_P(Recovery, AToolWhoseShimWasKilledEndsAtTheNextStart) {
    in_child(GetParam(), [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "tool", "sleep 1000 & setsid sleep 1000 & wait");
        spec.profile = Profile::tool;
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return runner->pids(spec.name)->size() == 3; }));
        ::kill(runner->observe(spec.name)->shim, SIGKILL);
        (void)runner.release();
    });
    in_child(GetParam(), [this] {
        auto runner = open();
        EXPECT_TRUE(runner->pids(name_of("tool"))->empty());
        EXPECT_TRUE(*runner->uid_idle(0));
        EXPECT_EQ(runner->observe(name_of("tool"))->phase, RunPhase::absent);
    });
}

// Kills, still as root, the process whose number comes through the pipe.
Fd start_killer() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    if (::fork() == 0) {
        ::close(fds[1]);
        pid_t victim = 0;
        if (::read(fds[0], &victim, sizeof victim) == sizeof victim && victim > 1) {
            ::kill(victim, SIGKILL);
        }
        ::_exit(0);
    }
    ::close(fds[0]);
    return Fd(fds[1]);
}

TEST_P(Recovery, AKilledHelperIsToldAndCostsNoComponent) {
    in_child(GetParam(), [this] {
        const Fd killer = start_killer();
        auto runner = open();
        const RunSpec spec = shell(*runner, "app", "exec sleep 1000");
        RunSpec tool = shell(*runner, "tool", "exec sleep 1000");
        tool.profile = Profile::tool;
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_OK(runner->start(tool, soon()));
        const pid_t helper = helper_of_this_process();
        ASSERT_NE(helper, 0);
        ASSERT_EQ(::write(killer.get(), &helper, sizeof helper),
                  static_cast<ssize_t>(sizeof helper));
        EXPECT_OK(wait_fd(runner->helper_fd(), 1, soon()));
        const Status killed = runner->kill(spec.name, milliseconds(0), soon());
        ASSERT_FALSE(killed.has_value());
        EXPECT_EQ(killed.error().code, Code::unavailable);
        EXPECT_EQ(runner->observe(spec.name)->phase, RunPhase::running);
        EXPECT_EQ(runner->wait(tool.name, soon())->exit_code, 128 + SIGKILL);
    });
    in_child(GetParam(), [this] {
        auto runner = open();
        EXPECT_EQ(runner->observe(name_of("app"))->phase, RunPhase::running);
        ASSERT_OK(runner->kill(name_of("app"), milliseconds(1000), soon()));
        EXPECT_OK(runner->forget(name_of("app"), soon()));
        EXPECT_OK(runner->forget(name_of("tool"), soon()));
    });
}

TEST_P(Recovery, AKilledShimIsAnEndWithoutTrace) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const RunSpec spec =
            shell(*runner, "app", "for i in 1 2 3; do (setsid sleep 1000 &); done; sleep 1000");
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return runner->pids(spec.name)->size() == 5; }));
        const auto watched = runner->watch(spec.name);
        ASSERT_OK(watched);
        ::kill(runner->observe(spec.name)->shim, SIGKILL);
        EXPECT_OK(wait_fd(watched->get(), 1, soon()));
        ASSERT_TRUE(
            eventually([&] { return runner->observe(spec.name)->phase == RunPhase::exited; }));
        EXPECT_EQ(runner->observe(spec.name)->exit_code, -1);
        EXPECT_EQ(runner->wait(spec.name, soon())->exit_code, -1);
        // The command itself died with it, its children did not.
        if (runner->isolation().cgroup != "none" || !runner->privileged()) {
            EXPECT_GE(runner->pids(spec.name)->size(), 3U);
        }
        EXPECT_NE(runner->privileged(), *runner->uid_idle(0));
        ASSERT_OK(runner->kill(spec.name, milliseconds(100), soon()));
        EXPECT_TRUE(runner->pids(spec.name)->empty());
        EXPECT_TRUE(*runner->uid_idle(0));
        // And a start does not need the kill before it.
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_OK(runner->kill(spec.name, milliseconds(100), soon()));
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_P(Recovery, AnotherBootIsTheEndOfEveryRun) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const auto folder = data_ / "run" / name_of("old");
        ASSERT_OK(make_dirs(folder, 0700));
        RunRecord record;
        record.boot_id = "another";
        record.shim = ::getpid();
        record.shim_start = proc_stat(::getpid())->start_ticks;
        record.profile = Profile::tool;
        std::ofstream(folder / "lock");
        std::ofstream(folder / "state") << render_record(record);
        const auto state = runner->observe(name_of("old"));
        EXPECT_EQ(state->phase, RunPhase::exited);
        EXPECT_EQ(state->exit_code, -1);
        EXPECT_EQ(state->boot_id, "another");
        EXPECT_EQ(state->shim, 0);
        EXPECT_OK(runner->kill(name_of("old"), milliseconds(0), soon()));
        EXPECT_OK(runner->forget(name_of("old"), soon()));
    });
}

TEST_P(Recovery, DamagedAndHalfMadeFoldersAreEnds) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const auto folder = data_ / "run" / name_of("half");
        ASSERT_OK(make_dirs(folder, 0700));
        EXPECT_EQ(runner->observe(name_of("half"))->phase, RunPhase::exited);
        EXPECT_EQ(runner->observe(name_of("half"))->exit_code, -1);
        std::ofstream(folder / "lock");
        std::ofstream(folder / "state") << "boot_id x\nshim 12";
        std::ofstream(folder / "exit") << "exit_code 0\nfinished_at";
        EXPECT_EQ(runner->observe(name_of("half"))->exit_code, -1);
        EXPECT_EQ(runner->list(), std::vector{name_of("half")});
        EXPECT_OK(runner->kill(name_of("half"), milliseconds(0), soon()));
        EXPECT_OK(runner->forget(name_of("half"), soon()));
        EXPECT_EQ(runner->list(), std::vector<std::string>{});
    });
}

TEST_P(Recovery, InstancesDoNotSeeEachOther) {
    const std::string other = "u" + instance_;
    in_child(GetParam(), [this] {
        auto runner = open();
        ASSERT_OK(runner->start(shell(*runner, "app", "exec sleep 1000"), soon()));
        (void)runner.release();
    });
    in_child(GetParam(), [this, other] {
        auto runner = open(other);
        EXPECT_EQ(runner->list(), std::vector<std::string>{});
        EXPECT_EQ(runner->observe(name_of("app")).error().code, Code::invalid);
        EXPECT_EQ(runner->kill(name_of("app"), milliseconds(0), soon()).error().code,
                  Code::invalid);
        EXPECT_EQ(runner->forget(name_of("app"), soon()).error().code, Code::invalid);
        if (runner->privileged()) {
            EXPECT_NE(runner->uid_of(0), 0U);
        }
    });
    in_child(GetParam(), [this] {
        auto runner = open();
        EXPECT_EQ(runner->observe(name_of("app"))->phase, RunPhase::running);
        ASSERT_OK(runner->kill(name_of("app"), milliseconds(0), soon()));
        EXPECT_OK(runner->forget(name_of("app"), soon()));
    });
}

class KillPoints : public RunnerFixture,
                   public ::testing::WithParamInterface<std::tuple<bool, const char*>> {
protected:
    void SetUp() override {
        if (std::get<0>(GetParam()) && ::geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
        RunnerFixture::SetUp();
    }
};

// Each point dies once, proves it, and the same name can be cleaned up and used again.
TEST_P(KillPoints, AreSurvived) {
    const auto [root, point] = GetParam();
    const World world{"", root, "auto"};
    const auto record = base_ / "record";
    in_child(world, [this, record, point] {
        ::setenv("SEATRIAL_FAILPOINTS", (std::string(point) + "=kill").c_str(), 1);
        ::setenv("SEATRIAL_FAILPOINT_RECORD", record.c_str(), 1);
        auto runner = open();
        const RunSpec spec = shell(*runner, "app", "exec sleep 1000");
        if (runner->start(spec, soon())) {
            const Status killed = runner->kill(spec.name, milliseconds(50), soon());
            const Status forgotten = runner->forget(spec.name, soon());
            EXPECT_FALSE(killed && forgotten &&
                         read_text(record).find("fired") == std::string::npos);
        }
        EXPECT_NE(read_text(record).find("fired " + std::string(point)), std::string::npos)
            << read_text(record);
    });
    in_child(world, [this] {
        auto runner = open();
        ASSERT_OK(runner->kill(name_of("app"), milliseconds(0), soon()));
        EXPECT_TRUE(runner->pids(name_of("app"))->empty());
        ASSERT_OK(runner->forget(name_of("app"), soon()));
        const RunSpec spec = shell(*runner, "app", "exit 4");
        EXPECT_EQ(runner->run(spec, soon())->exit_code, 4);
        ASSERT_OK(runner->forget(name_of("app"), soon()));
    });
}

INSTANTIATE_TEST_SUITE_P(
    All, KillPoints,
    ::testing::Combine(::testing::Bool(),
                       Values("helper.run.before_cgroup", "helper.run.cgroup_made",
                              "helper.run.before_fork", "helper.run.before_state",
                              "helper.run.state_written", "helper.run.started",
                              "helper.kill.before", "helper.kill.after_term", "helper.exit.before",
                              "helper.exit.written", "helper.forget.before")),
    [](const auto& info) {
        std::string name = std::get<1>(info.param);
        for (char& c : name) {
            c = c == '.' ? '_' : c;
        }
        return name + (std::get<0>(info.param) ? "_root" : "_user");
    });

}    // namespace
}    // namespace seatrial::process
