// The small parts: parsers of /proc, cgroup and run files, the wire, the filter.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/cgroup.h"
#include "process/confine.h"
#include "process/proc.h"
#include "process/run_files.h"
#include "process/runner_fixture.h"
#include "process/seccomp.h"
#include "process/uid_range.h"
#include "process/wire.h"

namespace seatrial::process {
namespace {

TEST(Proc, ReadsTheStatBehindAnyName) {
    const auto stat = parse_proc_stat(
        "12 (a) b (c) S 7 1 1 0 -1 4194560 1 2 3 4 50 60 0 0 20 0 1 0 98765 1000 42 0");
    ASSERT_TRUE(stat.has_value());
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->parent, 7);
    EXPECT_EQ(stat->cpu_ticks, 110U);
    EXPECT_EQ(stat->start_ticks, 98765U);
    EXPECT_EQ(stat->resident_pages, 42);
    for (const char* bad : {"", "12", "12 (a)", "12 (a) ", "12 (a) S x", ") S 1 2 3"}) {
        EXPECT_FALSE(parse_proc_stat(bad).has_value()) << bad;
    }
    EXPECT_TRUE(proc_stat(::getpid()).has_value());
    EXPECT_EQ(proc_uid(::getpid()), ::getuid());
    EXPECT_TRUE(uid_in_use(::getuid()));
    EXPECT_FALSE(uid_in_use(3'999'998));
    EXPECT_EQ(boot_id().size(), 36U);
}

TEST(Proc, OpensOnlyTheProcessThatWasMeant) {
    const auto stat = proc_stat(::getpid());
    EXPECT_OK(open_process(::getpid(), stat->start_ticks));
    EXPECT_EQ(open_process(::getpid(), stat->start_ticks + 1).error().code, Code::not_found);
    EXPECT_EQ(open_process(0, 1).error().code, Code::not_found);
    EXPECT_EQ(open_process(-1, 1).error().code, Code::not_found);
}

TEST(RunFiles, ComeBackAsWritten) {
    RunRecord record{"boot", 12, 34, 56, 78, Profile::tool, now_utc(), "/sys/fs/cgroup/x"};
    const auto back = parse_record(render_record(record));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(render_record(*back), render_record(record));
    EXPECT_EQ(back->profile, Profile::tool);
    const ExitRecord end{-1, now_utc(), true};
    EXPECT_EQ(render_exit(*parse_exit(render_exit(end))), render_exit(end));
    const std::string text = render_record(record);
    for (std::size_t cut = 0; cut + 1 < text.size(); ++cut) {
        EXPECT_FALSE(parse_record(text.substr(0, cut)).has_value()) << cut;
    }
    EXPECT_FALSE(parse_exit("exit_code x\nfinished_at 1\noom_killed 0\nend\n").has_value());
}

TEST(RunFiles, TheLockIsToldWithoutBeingTaken) {
    char pattern[] = "/tmp/seatrial-lock-XXXXXX";
    const Fd first(::mkostemp(pattern, O_CLOEXEC));
    const Fd second(::open(pattern, O_RDWR | O_CLOEXEC));
    ::unlink(pattern);
    EXPECT_FALSE(*is_locked(second));
    ASSERT_OK(take_lock(first));
    EXPECT_TRUE(*is_locked(second));
    EXPECT_EQ(take_lock(second).error().code, Code::conflict);
    {
        const Fd copy(::dup(first.get()));    // as the helper gets it
    }
    EXPECT_TRUE(*is_locked(second));
}

TEST(Cgroup, FindsTheTreesOfEachKindOfHost) {
    const auto hybrid = find_cgroup_mounts(
        "30 1 0:20 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 1 0:21 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "32 1 0:22 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
        "33 1 0:23 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "34 1 0:24 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n");
    EXPECT_EQ(hybrid.v2, "/sys/fs/cgroup/unified/seatrial");
    EXPECT_EQ(hybrid.v1_memory, "/sys/fs/cgroup/memory/seatrial");
    EXPECT_EQ(hybrid.v1_pids, "/sys/fs/cgroup/pids/seatrial");
    EXPECT_EQ(hybrid.v1_cpu, "/sys/fs/cgroup/cpu,cpuacct/seatrial");
    EXPECT_EQ(hybrid.kind(), "v1");
    CgroupLayout pure = find_cgroup_mounts("25 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    EXPECT_EQ(pure.v2, "/sys/fs/cgroup/seatrial");
    EXPECT_EQ(pure.kind(), "kill-only");
    pure.v2_controllers = {"memory", "pids"};
    EXPECT_EQ(pure.kind(), "v2");
    EXPECT_TRUE(pure.has("pids"));
    EXPECT_FALSE(pure.has("cpu"));
    EXPECT_EQ(oom_file(pure, "x"), "/sys/fs/cgroup/seatrial/x/app/memory.events");
    EXPECT_EQ(app_cgroup(pure, "x"), "/sys/fs/cgroup/seatrial/x/app");
    EXPECT_EQ(find_cgroup_mounts("").kind(), "none");
    EXPECT_EQ(find_cgroup_mounts("a b\n - \n1 2 3 4 5 6 - cgroup\n").kind(), "none");
    const auto back = decode_cgroup(encode(pure));
    ASSERT_OK(back);
    EXPECT_EQ(encode(*back), encode(pure));
}

TEST(Cgroup, ReadsBothCountersOfTheOomKiller) {
    EXPECT_TRUE(counts_oom_kill("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"));
    EXPECT_FALSE(counts_oom_kill("low 0\noom 3\noom_kill 0\n"));
    EXPECT_TRUE(counts_oom_kill("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"));
    EXPECT_FALSE(counts_oom_kill("oom_kill_disable 1\nunder_oom 0\noom_kill 0\n"));
    EXPECT_FALSE(counts_oom_kill(""));
}

TEST(Wire, RequestsComeBackAndNothingElseIsTaken) {
    RunRequest request{"name",    Profile::tool, 3,    {1, 2, 3, 44, 5}, {"a", ""}, {"B=c"},
                       "cwd",     {"w"},         1000, {80, 443},        true,      "t",
                       {"/tmp/x"}};
    const std::string bytes = encode(request);
    const auto back = decode_run(bytes);
    ASSERT_OK(back);
    EXPECT_EQ(encode(*back), bytes);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        EXPECT_FALSE(decode_run(bytes.substr(0, cut)).has_value());
    }
    EXPECT_FALSE(decode_run(bytes + "x").has_value());
    request.env = {std::string("A\0B", 3)};
    EXPECT_FALSE(decode_run(encode(request)).has_value());
    WireWriter huge;
    huge.number(INT64_MAX);
    EXPECT_FALSE(decode_plain(huge.bytes(), 1).has_value());
    WireWriter negative;
    negative.number(-1);
    EXPECT_FALSE(decode_plain(negative.bytes(), 1).has_value());
    const auto refused = decode_reply(encode_reply(fail(Code::refused, "why", "what to do")));
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_EQ(refused.error().message, "why");
    EXPECT_EQ(refused.error().hint, "what to do");
    const std::string binary("a\0b", 3);
    EXPECT_EQ(decode_reply(encode_reply(binary)), binary);
}

TEST(UidRange, IsFarFromPeopleAndTellsInstancesApart) {
    EXPECT_GE(first_uid("abc234"), 2'000'000U);
    EXPECT_LT(first_uid("abc234") + uid_slots, 4'000'001U);
    EXPECT_NE(first_uid("abc234"), first_uid("abc235"));
    EXPECT_TRUE(in_uid_range("abc234", first_uid("abc234") + 999));
    EXPECT_FALSE(in_uid_range("abc234", first_uid("abc234") + 1000));
    EXPECT_FALSE(in_uid_range("abc234", 0));
}

// Runs in a child under the filter; the exit code names the first call that was not refused.
int try_denied_calls() {
    const auto refused = [](long result, int error) { return result == -1 && errno == error; };
    const auto denied = [&](long result) { return refused(result, EPERM); };
    int at = 1;
    for (const bool ok :
         {denied(::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr)),
          denied(::syscall(SYS_umount2, "/tmp", 0)), denied(::ptrace(PTRACE_TRACEME, 0, 0, 0)),
          denied(::syscall(SYS_bpf, 0, nullptr, 0)), denied(::syscall(SYS_keyctl, 0, 0)),
          denied(::syscall(SYS_io_uring_setup, 1, nullptr)), denied(::unshare(CLONE_NEWUSER)),
          denied(::unshare(CLONE_NEWNS | CLONE_FS)),
          denied(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)),
          refused(::syscall(SYS_clone3, nullptr, 0), ENOSYS), denied(::syscall(SYS_setns, 0, 0)),
          denied(::syscall(SYS_userfaultfd, 0)), denied(::syscall(SYS_chroot, "/")),
          denied(::syscall(SYS_reboot, 0, 0, 0, nullptr)),
          denied(::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0)),
          denied(::syscall(SYS_open_by_handle_at, 0, nullptr, 0)),
          // and what must go on working
          ::unshare(CLONE_FS) == 0, ::getpid() > 0}) {
        if (!ok) {
            return at;
        }
        ++at;
    }
    return 0;
}

TEST(Seccomp, RefusesTheListAndNothingElse) {
    const auto program = make_seccomp_program();
    if (!program && program.error().code == Code::unavailable) {
        GTEST_SKIP() << program.error().message;
    }
    ASSERT_OK(program);
    EXPECT_EQ(::write(program->get(), "x", 1), -1);    // sealed
    std::vector<sock_filter> filter;
    ASSERT_OK(read_seccomp(*program, filter));
    EXPECT_LT(filter.size(), 1000U);
    const pid_t child = ::fork();
    if (child == 0) {
        const sock_fprog load{static_cast<unsigned short>(filter.size()), filter.data()};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &load, 0, 0) != 0) {
            ::_exit(100);
        }
        ::_exit(try_denied_calls());
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}    // namespace
}    // namespace seatrial::process
