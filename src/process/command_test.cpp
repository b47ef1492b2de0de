#include "process/command.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "process/proc.h"
#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(Command, CapturesOutputErrorsAndCode) {
    const auto output =
        run_command({.argv = {"sh", "-c", "echo out; echo err >&2; exit 3"}}, soon());
    ASSERT_OK(output);
    EXPECT_EQ(output->exit_code, 3);
    EXPECT_EQ(output->out, "out\n");
    EXPECT_EQ(output->err, "err\n");
    EXPECT_EQ(run_command({.argv = {"sh", "-c", "kill -9 $$"}}, soon())->exit_code, 137);
}

TEST(Command, PassesErrorsOnAsTheyCome) {
    std::string seen;
    CancelSource source;
    const auto output = run_command({.argv = {"sh", "-c", "echo one >&2; echo two >&2; sleep 600"},
                                     .output_limit = 2,
                                     .on_err =
                                         [&](std::string_view bytes) {
                                             seen += bytes;
                                             if (seen.ends_with("two\n")) {
                                                 source.cancel();
                                             }
                                         }},
                                    source.context().with_timeout(std::chrono::seconds(30)));
    ASSERT_FALSE(output);
    EXPECT_EQ(output.error().code, Code::cancelled) << "told before its end";
    EXPECT_EQ(seen, "one\ntwo\n");
}

TEST(Command, GivesAMinimalEnvironmentThatTheCallerExtends) {
    ::setenv("LEAK", "secret", 1);
    const auto output = run_command(
        {.argv = {"env"}, .env = {"HOME=/nowhere", "EXTRA=a b"}, .cwd = "/tmp"}, soon());
    ASSERT_OK(output);
    EXPECT_THAT(output->out, HasSubstr("HOME=/nowhere\nLANG=C.UTF-8\nEXTRA=a b\n"));
    EXPECT_EQ(output->out.find("LEAK"), std::string::npos);
    EXPECT_EQ(run_command({.argv = {"pwd"}, .cwd = "/usr"}, soon())->out, "/usr\n");
    ::unsetenv("LEAK");
}

TEST(Command, PassesOnlyThreeDescriptorsAndDefaultSignals) {
    const Fd leaky(::open("/dev/null", O_RDONLY));    // without O_CLOEXEC, as a library might
    ::signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(run_command({.argv = {"ls", "/proc/self/fd"}}, soon())->out, "0\n1\n2\n3\n");
    const auto status =
        run_command({.argv = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"}}, soon());
    EXPECT_EQ(status->out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    ::signal(SIGPIPE, SIG_DFL);
}

TEST(Command, ReadsAndWritesBorrowedDescriptors) {
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const Fd read(fds[0]);
    Fd write(fds[1]);
    const auto output =
        run_command({.argv = {"echo", "through"}, .stdout_fd = write.get()}, soon());
    ASSERT_OK(output);
    EXPECT_EQ(output->out, "");
    write.reset();
    EXPECT_EQ(run_command({.argv = {"cat"}, .stdin_fd = read.get()}, soon())->out, "through\n");
    EXPECT_EQ(run_command({.argv = {"cat"}}, soon())->out, "");
}

TEST(Command, KeepsAtMostTheLimitAndReadsTheRest) {
    const auto output =
        run_command({.argv = {"head", "-c", "5000000", "/dev/zero"}, .output_limit = 1000}, soon());
    ASSERT_OK(output);
    EXPECT_EQ(output->exit_code, 0);
    EXPECT_EQ(output->out.size(), 1000U);
}

TEST(Command, EndsTheWholeGroupAtTheDeadlineEvenUnderEndlessOutput) {
    for (const char* script : {"sleep 1000 & sleep 1000", "yes"}) {
        const auto begin = std::chrono::steady_clock::now();
        const auto output =
            run_command({.argv = {"sh", "-c", script}}, Context().with_timeout(milliseconds(150)));
        EXPECT_EQ(output.error().code, Code::timed_out);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    }
    EXPECT_TRUE(eventually([] { return descendants(::getpid()).empty(); }));
    CancelSource source;
    source.cancel();
    EXPECT_EQ(run_command({.argv = {"true"}}, source.context()).error().code, Code::cancelled);
    CancelSource later;
    std::jthread canceller([&] {
        eventually([] { return !descendants(::getpid()).empty(); });
        later.cancel();
    });
    EXPECT_EQ(run_command({.argv = {"sleep", "1000"}}, later.context()).error().code,
              Code::cancelled);
}

TEST(Command, DoesNotWaitForWhatAChildLeavesInTheBackground) {
    const auto begin = std::chrono::steady_clock::now();
    const auto output = run_command({.argv = {"sh", "-c", "sleep 3 & echo done"}}, soon());
    ASSERT_OK(output);
    EXPECT_EQ(output->out, "done\n");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(Command, NamesWhatIsMissing) {
    EXPECT_EQ(run_command({.argv = {"no-such-program"}}, soon()).error().code, Code::not_found);
    EXPECT_EQ(run_command({.argv = {"/no/such/program"}}, soon()).error().code, Code::not_found);
    EXPECT_EQ(run_command({.argv = {"true"}, .cwd = "/no/such"}, soon()).error().code,
              Code::not_found);
    EXPECT_EQ(run_command({.argv = {}}, soon()).error().code, Code::invalid);
}

TEST(Command, CheckedTellsTheLastLines) {
    const auto failed = run_checked(
        {.argv = {"sh", "-c", "for i in 1 2 3 4 5; do echo line $i >&2; done; exit 9"}}, soon());
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, Code::failed);
    EXPECT_THAT(failed.error().message, HasSubstr("exit code 9: line 3\nline 4\nline 5"));
    EXPECT_OK(run_checked({.argv = {"true"}}, soon()));
}

TEST(Command, RunsFromManyThreads) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([i] {
            for (int round = 0; round < 10; ++round) {
                const std::string text = std::to_string(i * 100 + round);
                const auto output = run_command({.argv = {"echo", text}}, soon());
                ASSERT_OK(output);
                EXPECT_EQ(output->out, text + "\n");
            }
        });
    }
}

TEST(Command, ChildDiesWithTheThread) {
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const Fd read(fds[0]);
    Fd write(fds[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        // The command holds the pipe; when it ends, the pipe ends.
        run_command({.argv = {"sh", "-c", "echo up; exec sleep 1000"}, .stdout_fd = write.get()},
                    Context());
        ::_exit(0);
    }
    write.reset();
    char buffer[8];
    ASSERT_EQ(::read(read.get(), buffer, sizeof buffer), 3);
    ::kill(child, SIGKILL);
    ASSERT_OK(wait_fd(read.get(), 1, soon()));
    EXPECT_EQ(::read(read.get(), buffer, sizeof buffer), 0);
    int status = 0;
    ::waitpid(child, &status, 0);
}

}    // namespace
}    // namespace seatrial::process
