// What protects the host, the daemon and the other previews from a run.
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "process/landlock.h"
#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;
using ::testing::Values;

class IsolationWorlds : public RunnerWorlds {};

INSTANTIATE_TEST_SUITE_P(All, IsolationWorlds,
                         Values(World{"root", true, "auto"}, World{"user", false, "auto"}),
                         [](const auto& info) { return info.param.name; });

// The exit code of a script, and its log by name.
int code_of(Runner& runner, const RunSpec& spec) {
    const auto ended = runner.run(spec, soon());
    EXPECT_OK(ended);
    EXPECT_OK(runner.forget(spec.name, soon()));
    return ended && ended->exit_code ? *ended->exit_code : -2;
}

TEST_P(IsolationWorlds, SaysWhatItReachesAndWhatNot) {
    in_child(GetParam(), [this] {
        auto runner = open();
        const Isolation reached = runner->isolation();
        EXPECT_EQ(reached.own_uid, GetParam().root);
        EXPECT_EQ(reached.landlock_abi, landlock_abi());
        // One sentence is about the data folder, which is below /tmp here.
        EXPECT_EQ(reached.level == "strong", reached.missing.size() == 1);
        EXPECT_TRUE(reached.level == "basic" || reached.own_uid);
        EXPECT_EQ(runner->privileged(), GetParam().root);
        if (!GetParam().root) {
            EXPECT_EQ(runner->uid_of(5), ::getuid());
            RunSpec spec = shell(*runner, "slot", "true");
            spec.uid_slot = 5;
            EXPECT_EQ(runner->start(spec, soon()).error().code, Code::unavailable);
            EXPECT_OK(runner->forget(spec.name, soon()));
        }
    });
}

TEST_P(IsolationWorlds, RefusesNamespacesMountsAndTracing) {
    in_child(GetParam(), [this] {
        auto runner = open();
        if (!runner->isolation().seccomp) {
            GTEST_SKIP() << "the kernel has no seccomp";
        }
        EXPECT_NE(code_of(*runner, shell(*runner, "ns", "unshare -U true")), 0);
        EXPECT_NE(log_of("ns").find("Operation not permitted"), std::string::npos);
        EXPECT_NE(code_of(*runner, shell(*runner, "net", "unshare -rn true")), 0);
        EXPECT_NE(code_of(*runner, shell(*runner, "mnt", "mount -t tmpfs none /tmp")), 0);
        EXPECT_EQ(code_of(*runner, shell(*runner, "ok", "ls / | sort | cat > /dev/null")), 0);
    });
}

TEST_P(IsolationWorlds, LetsWriteOnlyBelowItsOwnFolders) {
    // Every run may write below /tmp, so the data folder must lie elsewhere, and where also an
    // ordinary user comes: a clone below /root is closed to him.
    const auto built = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const std::filesystem::path place = ::geteuid() == 0 ? "/var/lib" : built;
    if (::access(place.c_str(), W_OK) != 0) {
        GTEST_SKIP() << "this user cannot write to the build folder, and /tmp would prove nothing";
    }
    move_base(place);
    in_child(GetParam(), [this] {
        auto runner = open();
        if (runner->isolation().landlock_abi == 0) {
            GTEST_SKIP() << "the kernel has no Landlock";
        }
        // Open to everybody by its mode: only Landlock stands before it.
        const auto outside = data_ / "previews" / "outside";
        const auto granted = data_ / "previews" / "granted";
        for (const auto& folder : {outside, granted}) {
            ASSERT_OK(make_dirs(folder));
            ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
        }
        std::ofstream(outside / "file") << "readable";
        ASSERT_EQ(::chmod((outside / "file").c_str(), 0666), 0);
        RunSpec spec = shell(*runner, "write",
                             "cat ../outside/file; echo; echo x > ../outside/new || echo denied; "
                             "echo x >> ../outside/file || echo denied; rm ../outside/file || "
                             "echo denied; echo x > here && mkdir sub && mv here sub/there && "
                             "echo x > ../granted/new && echo allowed; "
                             "f=$(mktemp /tmp/seatrial-XXXXXX) && rm $f && echo temp");
        spec.writable = {granted};
        spec.argv[2] += "; : > /dev/null && echo device";
        EXPECT_EQ(code_of(*runner, spec), 0);
        const std::string log = log_of("write");
        EXPECT_TRUE(log.starts_with("readable\n")) << log;
        EXPECT_TRUE(log.ends_with("allowed\ntemp\ndevice\n")) << log;
        EXPECT_FALSE(std::filesystem::exists(outside / "new"));
        EXPECT_EQ(read_text(outside / "file"), "readable");
        EXPECT_TRUE(std::filesystem::exists(granted / "new"));
    });
}

TEST_P(IsolationWorlds, LetsBindOnlyItsPorts) {
    in_child(GetParam(), [this] {
        auto runner = open();
        if (runner->isolation().landlock_abi < 4 || ::access("/usr/bin/python3", X_OK) != 0) {
            GTEST_SKIP() << "needs Landlock ABI 4 and python3";
        }
        RunSpec spec = shell(*runner, "bind", "");
        spec.argv = {"/usr/bin/python3", "-c",
                     "import socket\n"
                     "for port in (28431, 28432):\n"
                     "    s = socket.socket()\n"
                     "    try:\n"
                     "        s.bind(('127.0.0.1', port)); print('bound')\n"
                     "    except PermissionError:\n"
                     "        print('denied')\n"};
        spec.tcp_bind = {28431};
        EXPECT_EQ(code_of(*runner, spec), 0);
        EXPECT_EQ(log_of("bind"), "bound\ndenied\n");
    });
}

TEST_P(IsolationWorlds, CannotSignalTheDaemonOrItsShim) {
    in_child(GetParam(), [this] {
        auto runner = open();
        if (!GetParam().root && runner->isolation().landlock_abi < 6) {
            GTEST_SKIP() << "needs root or Landlock ABI 6";
        }
        const std::string daemon = std::to_string(::getpid());
        EXPECT_EQ(code_of(*runner, shell(*runner, "kill",
                                         "kill -9 $PPID && echo shim; kill -9 " + daemon +
                                             " && echo daemon; exit 5")),
                  5);
        EXPECT_EQ(log_of("kill").find("shim\n"), std::string::npos);
        EXPECT_EQ(log_of("kill").find("daemon\n"), std::string::npos);
    });
}

class RootIsolation : public RunnerFixture {
protected:
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
        RunnerFixture::SetUp();
    }
    const World root_{"root", true, "auto"};
};

TEST_F(RootIsolation, TheEdgeMayBindLowPortsAndNothingElse) {
    in_child(root_, [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "edge", "");
        spec.argv = {"cat", "/proc/self/status"};
        spec.profile = Profile::edge;
        spec.cwd = data_ / "edge";
        ASSERT_OK(make_dirs(spec.cwd, 0700));
        spec.uid_slot = -1;
        EXPECT_EQ(code_of(*runner, spec), 0);
        const std::string status = log_of("edge");
        for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
            EXPECT_NE(status.find(std::string(set) + ":\t0000000000000400\n"), std::string::npos)
                << set << " is not CAP_NET_BIND_SERVICE alone";
        }
        EXPECT_NE(status.find("Uid:\t" + std::to_string(::getuid()) + "\t"), std::string::npos);
        spec.uid_slot = 3;
        EXPECT_EQ(runner->start(spec, soon()).error().code, Code::invalid);
    });
}

TEST_F(RootIsolation, AnotherPreviewCannotReadATree) {
    in_child(root_, [this] {
        auto runner = open();
        const auto first = make_tree(*runner, "first", 3);
        ASSERT_OK(make_dirs(data_ / "previews" / "second", 0700));
        std::ofstream(data_ / "previews" / "second" / "secret") << "content";
        ASSERT_OK(runner->own(data_ / "previews" / "second", 4, soon()));
        RunSpec spec = shell(*runner, "read", "cat ../second/secret");
        spec.cwd = first;
        spec.uid_slot = 3;
        EXPECT_NE(code_of(*runner, spec), 0);
        EXPECT_NE(log_of("read").find("Permission denied"), std::string::npos);
        spec = shell(*runner, "allowed", "cat secret");
        spec.cwd = data_ / "previews" / "second";
        spec.uid_slot = 4;
        EXPECT_EQ(code_of(*runner, spec), 0);
        EXPECT_EQ(log_of("allowed"), "content");
        // The daemon's own folders are closed to both.
        spec = shell(*runner, "run", "ls ../../run; ls ../../logs; ls ../..");
        EXPECT_NE(code_of(*runner, spec), 0);
        EXPECT_EQ(log_of("run").find(name_of("run")), std::string::npos);
    });
}

TEST_F(RootIsolation, AFolderThatItsUserCannotEnterIsTold) {
    in_child(root_, [this] {
        auto runner = open();
        RunSpec spec = shell(*runner, "closed", "true");
        ASSERT_OK(make_dirs(data_ / "previews" / "closed", 0700));
        spec.cwd = data_ / "previews" / "closed";
        EXPECT_EQ(code_of(*runner, spec), 126);
        EXPECT_NE(log_of("closed").find("work folder"), std::string::npos);
    });
}

TEST_F(RootIsolation, AMemoryHogEndsAloneAndIsTold) {
    for (const char* mode : {"auto", "v1"}) {
        in_child({"root", true, mode}, [this, mode] {
            auto runner = open();
            if (mode == std::string_view("v1") && runner->isolation().cgroup == "none") {
                return;    // a host with the unified tree alone
            }
            if (runner->isolation().cgroup != "v1" && runner->isolation().cgroup != "v2") {
                GTEST_SKIP() << "no cgroup with limits";
            }
            RunSpec spec = shell(*runner, "hog", "");
            spec.argv = {"tail", "/dev/zero"};
            spec.limits.memory_bytes = 48 << 20;
            const auto ended = runner->run(spec, soon(60));
            ASSERT_OK(ended);
            EXPECT_EQ(ended->exit_code, 137);
            EXPECT_TRUE(ended->oom_killed);
            EXPECT_OK(runner->forget(spec.name, soon()));
            // The next run of the name starts with clean counters.
            spec.argv = {"true"};
            EXPECT_FALSE(runner->run(spec, soon())->oom_killed);
            EXPECT_OK(runner->forget(spec.name, soon()));
        });
    }
}

TEST_F(RootIsolation, CountsACpuLimit) {
    in_child(root_, [this] {
        auto runner = open();
        if (runner->isolation().level != "strong") {
            GTEST_SKIP() << "no cpu controller";
        }
        RunSpec spec = shell(*runner, "spin", "while :; do :; done");
        spec.limits.cpu_percent = 20;
        const auto begin = std::chrono::steady_clock::now();
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return runner->usage(spec.name)->cpu > milliseconds(200); }));
        EXPECT_GT(std::chrono::steady_clock::now() - begin, milliseconds(600));
        EXPECT_FALSE(*runner->uid_idle(0));
        ASSERT_OK(runner->kill(spec.name, milliseconds(0), soon()));
        EXPECT_TRUE(*runner->uid_idle(0));
        EXPECT_OK(runner->forget(spec.name, soon()));
    });
}

TEST_F(RootIsolation, RefusesADataFolderOfSomebodyElse) {
    ASSERT_OK(make_dirs(data_));
    std::ofstream(data_ / "theirs") << "x";
    in_child(root_, [this] {
        const auto opened = Runner::open({data_, instance_, "60990"});
        ASSERT_FALSE(opened.has_value());
        EXPECT_EQ(opened.error().code, Code::conflict);
        EXPECT_EQ(Runner::open({data_, instance_, "root"}).error().code, Code::invalid);
        EXPECT_EQ(Runner::open({data_, instance_, "0"}).error().code, Code::invalid);
        EXPECT_EQ(Runner::open({data_, instance_, "no-such-user"}).error().code, Code::invalid);
        EXPECT_EQ(Runner::open({data_, "../x", "60990"}).error().code, Code::invalid);
        EXPECT_EQ(::geteuid(), 0U);
    });
}

}    // namespace
}    // namespace seatrial::process
