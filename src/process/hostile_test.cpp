// The helper is a privilege boundary: whatever a daemon that was taken over sends, it changes
// nothing outside the data folder, touches no other instance, and goes on serving.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "process/runner_fixture.h"
#include "process/spawn.h"
#include "process/uid_range.h"
#include "process/wire.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;

constexpr uid_t daemon_uid = 60990;

// A helper as its daemon would have it, but with a hand on the wire.
class Hostile : public RunnerFixture {
protected:
    void SetUp() override {
        RunnerFixture::SetUp();
        root_ = ::geteuid() == 0;
        ASSERT_OK(make_dirs(data_ / "previews" / "tree"));
        ASSERT_OK(make_dirs(data_ / "run"));
        ASSERT_OK(make_dirs(base_ / "outside" / "deep"));
        std::ofstream(base_ / "outside" / "precious") << "content";
        std::filesystem::create_directory_symlink(base_ / "outside", data_ / "previews" / "link");
        if (root_) {
            give(data_);
        }
        int sockets[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        control_ = Fd(sockets[0]);
        const Fd theirs(sockets[1]);
        SpawnSpec spec;
        spec.path = (base_ / "helper").string();
        const std::string uid = std::to_string(root_ ? daemon_uid : ::getuid());
        const std::string gid = std::to_string(root_ ? daemon_uid : ::getgid());
        spec.argv = {"seatrial-helper", data_.string(), instance_, uid, gid, "none"};
        const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        spec.stdio = {null.get(), null.get(), 2};
        spec.extra_fd = theirs.get();
        auto spawned = spawn(spec);
        ASSERT_OK(spawned);
        helper_ = std::move(spawned->pidfd);
    }

    void TearDown() override {
        control_.reset();
        EXPECT_EQ(reap(helper_), 0);
        EXPECT_EQ(read_text(base_ / "outside" / "precious"), "content");
        EXPECT_TRUE(std::filesystem::is_directory(base_ / "outside" / "deep"));
        RunnerFixture::TearDown();
    }

    static void give(const std::filesystem::path& tree) {
        ASSERT_EQ(::lchown(tree.c_str(), daemon_uid, daemon_uid), 0);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(tree)) {
            ASSERT_EQ(::lchown(entry.path().c_str(), daemon_uid, daemon_uid), 0);
        }
    }

    // The reply, or `unavailable` when the request ended without one.
    Result<std::string> ask(std::uint8_t verb, const std::string& fields,
                            const std::vector<int>& more = {}) const {
        int sockets[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        const Fd ours(sockets[0]);
        Fd theirs(sockets[1]);
        const Fd file(::memfd_create("fields", MFD_CLOEXEC));
        EXPECT_EQ(::write(file.get(), fields.data(), fields.size()),
                  static_cast<ssize_t>(fields.size()));
        std::vector<int> fds{theirs.get(), file.get()};
        fds.insert(fds.end(), more.begin(), more.end());
        const char byte = static_cast<char>(verb);
        EXPECT_OK(send_fds(control_.get(), {&byte, 1}, fds, soon()));
        theirs.reset();
        EXPECT_OK(wait_fd(ours.get(), 1, soon()));
        TRY_ASSIGN(const auto received, receive_fds(ours.get(), 65536));
        if (received.bytes.empty()) {
            return fail(Code::unavailable, "no answer");
        }
        return decode_reply(received.bytes);
    }
    Result<std::string> ask(Verb verb, const std::string& fields,
                            const std::vector<int>& more = {}) const {
        return ask(static_cast<std::uint8_t>(verb), fields, more);
    }

    Code refusal(Verb verb, const std::vector<std::string>& texts, std::int64_t number = 0) const {
        const auto reply = ask(verb, encode(PlainRequest{texts, number}));
        EXPECT_FALSE(reply.has_value());
        return reply ? Code::internal : reply.error().code;
    }

    RunRequest run_request() const {
        RunRequest request;
        request.name = name_of("run");
        request.argv = {"true"};
        request.cwd = "previews/tree";
        request.uid_slot = root_ ? 0 : -1;
        return request;
    }
    Result<std::string> ask_run(const RunRequest& request) const {
        const auto folder = data_ / "run" / "x";
        EXPECT_OK(make_dirs(folder));
        const Fd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const Fd lock(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (root_) {
            give(folder);
        }
        const Fd log(::open((base_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
        return ask(Verb::run, encode(request), {dir.get(), lock.get(), log.get()});
    }

    Fd control_;
    Fd helper_;
    bool root_ = false;
};

TEST_F(Hostile, RefusesPathsThatLeaveTheDataFolder) {
    for (const char* path :
         {"../outside/deep", "/etc", "/", "", ".", "..", "previews", "previews/", "previews/..",
          "previews/../previews", "previews/../../outside/deep", "./previews", "run/..",
          "previews/link/deep", "previews/tree/../../../outside/deep", "previews/tree/."}) {
        for (const Verb verb : {Verb::remove, Verb::umount}) {
            const auto reply = ask(verb, encode(PlainRequest{{path}, 0}));
            ASSERT_FALSE(reply.has_value()) << path;
            EXPECT_EQ(reply.error().code, Code::refused) << path;
        }
        if (root_) {
            EXPECT_EQ(refusal(Verb::own, {path}, 0), Code::refused) << path;
            EXPECT_EQ(
                refusal(Verb::mount, {"previews/tree", "previews/tree", "previews/tree", path}),
                Code::refused)
                << path;
        }
    }
    EXPECT_TRUE(std::filesystem::exists(data_ / "previews" / "tree"));
    // A link itself is removed, what it means is not.
    EXPECT_OK(ask(Verb::remove, encode(PlainRequest{{"previews/link"}, 0})));
    EXPECT_OK(ask(Verb::remove, encode(PlainRequest{{"previews/absent/deeper"}, 0})));
}

TEST_F(Hostile, RefusesNamesOfOthers) {
    const std::string mark = "st-" + instance_ + "-";
    for (const std::string& name :
         {std::string("st-other-run-0123456789ab"), std::string("../run"), mark, mark + "../../x",
          mark + "a/b", mark + "A", mark + std::string(60, 'a'), std::string("")}) {
        RunRequest run = run_request();
        run.name = name;
        EXPECT_EQ(ask_run(run).error().code, Code::refused) << name;
        EXPECT_EQ(
            ask(Verb::kill, encode(KillRequest{name, {}, milliseconds(10), 0, 0, 0})).error().code,
            Code::refused);
        EXPECT_EQ(refusal(Verb::forget, {name}), Code::refused);
    }
}

TEST_F(Hostile, RefusesRunsOutsideTheFolderAndTheRange) {
    for (const char* path : {"../outside", "/", "previews/link", "previews/tree/../../.."}) {
        RunRequest request = run_request();
        request.cwd = path;
        EXPECT_EQ(ask_run(request).error().code, Code::refused) << path;
        request = run_request();
        request.writable = {path};
        EXPECT_EQ(ask_run(request).error().code, Code::refused) << path;
    }
    for (const int slot : {-2, 1000, 2147483647}) {
        RunRequest request = run_request();
        request.uid_slot = slot;
        EXPECT_EQ(ask_run(request).error().code, Code::invalid);
        EXPECT_FALSE(ask(Verb::own, encode(PlainRequest{{"previews/tree"}, slot})).has_value());
    }
    RunRequest empty = run_request();
    empty.argv = {};
    EXPECT_EQ(ask_run(empty).error().code, Code::invalid);
    EXPECT_OK(ask_run(run_request()));
}

TEST_F(Hostile, NeverGivesAwayWhatIsNotOurs) {
    if (!root_) {
        GTEST_SKIP() << "needs root";
    }
    const auto tree = data_ / "previews" / "tree";
    std::ofstream(base_ / "shadow") << "secret";
    std::filesystem::create_hard_link(base_ / "shadow", tree / "mine");
    EXPECT_EQ(refusal(Verb::own, {"previews/tree"}, 7), Code::refused);
    struct stat info{};
    ASSERT_EQ(::stat((base_ / "shadow").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0U);
    std::filesystem::remove(tree / "mine");
    // A link out of the tree changes hands itself, its target does not.
    std::filesystem::create_symlink(base_ / "shadow", tree / "link");
    ASSERT_EQ(::lchown((tree / "link").c_str(), daemon_uid, daemon_uid), 0);
    ASSERT_OK(ask(Verb::own, encode(PlainRequest{{"previews/tree"}, 7})));
    ASSERT_EQ(::stat((base_ / "shadow").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0U);
    ASSERT_EQ(::lstat((tree / "link").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, first_uid(instance_) + 7);
    // A file of slot 7 with a second name may come back to the daemon, not go to slot 8.
    std::ofstream(tree / "a") << "x";
    std::filesystem::create_hard_link(tree / "a", tree / "b");
    const uid_t seven = first_uid(instance_) + 7;
    ASSERT_EQ(::chown((tree / "a").c_str(), seven, seven), 0);
    EXPECT_EQ(refusal(Verb::own, {"previews/tree"}, 8), Code::refused);
    EXPECT_OK(ask(Verb::own, encode(PlainRequest{{"previews/tree"}, -1})));
}

TEST_F(Hostile, WithoutACgroupKillsOnlyProcessesOfOurUids) {
    SpawnSpec spec;
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    spec.path = "/bin/sleep";
    spec.argv = {"sleep", "1000"};
    spec.stdio = {null.get(), null.get(), null.get()};
    const auto victim = spawn(spec);    // of root's or ours, and no child of a shim
    ASSERT_OK(victim);
    KillRequest request{name_of("run"), {}, milliseconds(2000), ::getppid(), 1, 0};
    EXPECT_OK(ask(Verb::kill, encode(request)));
    struct stat info{};
    ASSERT_EQ(::fstat(null.get(), &info), 0);
    request.pipe = info.st_ino;
    EXPECT_OK(ask(Verb::kill, encode(request)));
    EXPECT_EQ(
        wait_fd(victim->pidfd.get(), 1, Context().with_timeout(milliseconds(50))).error().code,
        Code::timed_out);
    ::kill(victim->pid, SIGKILL);
    reap(victim->pidfd);
}

TEST_F(Hostile, SurvivesNoise) {
    std::mt19937 random(20261121);
    const std::string good = encode(run_request());
    for (int i = 0; i < 150; ++i) {
        std::string fields = good.substr(0, random() % (good.size() + 1));
        for (std::size_t flips = random() % 8; flips > 0 && !fields.empty(); --flips) {
            fields[random() % fields.size()] = static_cast<char>(random());
        }
        // Cut or bent, and without the descriptors a run needs: nothing may come of it.
        EXPECT_FALSE(ask(static_cast<std::uint8_t>(2 + random() % 254), fields).has_value());
    }
    const char byte = 1;
    EXPECT_OK(send_fds(control_.get(), {&byte, 1}, {}, soon()));
    EXPECT_OK(send_fds(control_.get(), std::string(4000, 'x'), {0, 1, 2}, soon()));
    EXPECT_OK(ask(Verb::hello, ""));
}

TEST_F(Hostile, RequestsDoNotWaitForEachOther) {
    const auto slow = data_ / "previews" / "fifo";
    ASSERT_EQ(::mkfifo(slow.c_str(), 0666), 0);
    const Fd fifo(::open(slow.c_str(), O_RDWR | O_CLOEXEC));
    int sockets[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    const Fd ours(sockets[0]);
    const Fd theirs(sockets[1]);
    const char byte = static_cast<char>(Verb::own);
    // Fields from a pipe that never fills: refused, not waited for.
    EXPECT_OK(send_fds(control_.get(), {&byte, 1}, {theirs.get(), fifo.get()}, soon()));
    EXPECT_OK(ask(Verb::hello, ""));
    EXPECT_OK(wait_fd(ours.get(), 1, soon()));
}

}    // namespace
}    // namespace seatrial::process
