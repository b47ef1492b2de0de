// What a run sees at /tmp, /var/tmp and /dev/shm, and which mounts its namespace keeps.
#include "process/private_tmp.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "process/overlay.h"
#include "process/runner_fixture.h"

namespace seatrial::process {
namespace {

using std::chrono::milliseconds;

// Their data folder lies below /tmp: the roots must be seen there all the same.
class PrivateTmpRuns : public RunnerFixture {
protected:
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
        RunnerFixture::SetUp();
    }

    RunSpec with_tmp(Runner& runner, const std::string& name, const std::string& script) {
        RunSpec spec = shell(runner, name, script);
        spec.tmp = data_ / "previews" / "tmp-of-it";
        if (!std::filesystem::exists(spec.tmp)) {
            EXPECT_OK(make_dirs(spec.tmp, 0700));
            EXPECT_OK(runner.own(spec.tmp, 0, soon()));
        }
        return spec;
    }
    std::string said(Runner& runner, const RunSpec& spec) {
        const auto ended = runner.run(spec, soon());
        EXPECT_OK(ended);
        EXPECT_OK(runner.forget(spec.name, soon()));
        std::string text = read_text(spec.log);
        std::filesystem::remove(spec.log);
        return text;
    }

    const World root_{"root", true, "auto"};
};

TEST_F(PrivateTmpRuns, ARunSeesNeitherTheHostsNorAnothersFiles) {
    const std::string mark = "seatrial-mark-" + instance_;
    std::ofstream("/tmp/" + mark) << "host";
    in_child(root_, [&] {
        auto runner = open();
        ASSERT_TRUE(runner->isolation().private_tmp);
        const std::string write = "for d in /tmp /var/tmp /dev/shm; do cat $d/" + mark +
                                  " 2>/dev/null; echo $d >> $d/" + mark + "; done";
        EXPECT_EQ(said(*runner, shell(*runner, "one", write)), "/tmp\n");
        EXPECT_EQ(said(*runner, shell(*runner, "two", write)), "/tmp\n");
    });
    EXPECT_EQ(read_text("/tmp/" + mark), "host");
    EXPECT_FALSE(std::filesystem::exists("/var/tmp/" + mark));
    EXPECT_FALSE(std::filesystem::exists("/dev/shm/" + mark));
    std::filesystem::remove("/tmp/" + mark);
}

TEST_F(PrivateTmpRuns, ItsFolderSurvivesARestartAndShowsTheRoots) {
    in_child(root_, [this] {
        auto runner = open();
        EXPECT_EQ(said(*runner, with_tmp(*runner, "a", "echo 1 > /tmp/kept; pwd")),
                  (data_ / "previews" / "tree").string() + "\n");
        EXPECT_EQ(said(*runner, with_tmp(*runner, "b", "cat /var/tmp/kept; echo x > in-tree")),
                  "1\n");
        EXPECT_EQ(said(*runner, with_tmp(*runner, "e", "cat in-tree")), "x\n");
        // Links that it puts where our mount point goes lead nowhere.
        said(*runner, with_tmp(*runner, "c", "chmod 777 /tmp"));
        const auto top = data_ / "previews" / "tmp-of-it" / base_.filename();
        std::filesystem::rename(top, top.string() + "-aside");
        std::filesystem::create_directory_symlink("/etc", top);
        const auto refused = runner->start(with_tmp(*runner, "d", "true"), soon());
        EXPECT_EQ(refused.error().code, Code::unavailable);
        EXPECT_NE(refused.error().message.find("private /tmp"), std::string::npos);
        EXPECT_FALSE(std::filesystem::exists("/etc/data"));
        EXPECT_OK(runner->forget(name_of("d"), soon()));
    });
}

TEST_F(PrivateTmpRuns, AFolderWithASocketCanBeShown) {
    const auto folder = std::filesystem::path("/tmp") / ("st-sock-" + instance_);
    ASSERT_OK(make_dirs(folder / "open", 0755));
    ASSERT_OK(make_dirs(folder / "shut", 0700));
    ASSERT_OK(make_dirs(folder / "shut" / "inner", 0755));
    std::ofstream(folder / "open" / "file") << "seen";
    std::ofstream(folder / "shut" / "inner" / "file") << "secret";
    in_child(root_, [&] {
        auto runner = open();
        RunSpec spec = shell(*runner, "s",
                             "cat " + (folder / "open" / "file").string() + "; cat " +
                                 (folder / "shut" / "inner" / "file").string() + " 2>/dev/null");
        spec.shown = {folder / "open", folder / "shut" / "inner", folder / "absent", "/etc",
                      "/tmp/../etc"};
        EXPECT_EQ(said(*runner, spec), "seen");    // what its user may not reach stays out of reach
    });
    std::filesystem::remove_all(folder);
}

// On a host whose mounts are shared, as systemd sets them up.
TEST_F(PrivateTmpRuns, LaterMountsAppearAndThoseOfOthersAreNotKept) {
    in_child(root_, [this] {
        ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), 0);
        auto runner = open();
        for (const char* name : {"previews/tree/late", "previews/other/at"}) {
            for (const char* layer : {"lower", "upper", "work"}) {
                ASSERT_OK(make_dirs(data_ / (std::string(name) + "-" + layer), 0755));
            }
            ASSERT_OK(make_dirs(data_ / name, 0755));
        }
        std::ofstream(data_ / "previews/tree/late-lower" / "file") << "late\n";
        make_tree(*runner, "tree");
        const auto mount = [&](const std::string& at) {
            return runner->mount(data_ / (at + "-lower"), data_ / (at + "-upper"),
                                 data_ / (at + "-work"), data_ / at, soon());
        };
        const auto other = mount("previews/other/at");
        if (!other && other.error().code == Code::unavailable) {
            GTEST_SKIP() << "no overlays here";
        }
        ASSERT_OK(other);
        const RunSpec spec =
            shell(*runner, "slave",
                  "grep -c previews/other/at /proc/self/mountinfo; "
                  "while ! cat late/file 2>/dev/null; do sleep 0.02; done; "
                  "while cat late/file >/dev/null 2>&1; do sleep 0.02; done; echo gone");
        ASSERT_OK(runner->start(spec, soon()));
        ASSERT_TRUE(eventually([&] { return log_of("slave") == "0\n"; }));
        ASSERT_OK(mount("previews/tree/late"));
        ASSERT_TRUE(eventually([&] { return log_of("slave") == "0\nlate\n"; }));
        ASSERT_OK(runner->umount(data_ / "previews/tree/late", soon()));
        EXPECT_OK(runner->wait(spec.name, soon()));
        EXPECT_EQ(log_of("slave"), "0\nlate\ngone\n");
        EXPECT_OK(runner->forget(spec.name, soon()));
        ASSERT_OK(runner->umount(data_ / "previews/other/at", soon()));
    });
}

// A preview's package manager may move a folder of its dependencies; nobody else sees it.
TEST_F(PrivateTmpRuns, AFolderOfTheLowerTreeCanBeRenamed) {
    in_child(root_, [this] {
        auto runner = open();
        make_tree(*runner, "tree");
        ASSERT_OK(make_dirs(data_ / "trees" / "t" / "package" / "lib", 0777));
        std::filesystem::permissions(data_ / "trees" / "t", std::filesystem::perms::all);
        std::filesystem::permissions(data_ / "trees" / "t" / "package",
                                     std::filesystem::perms::all);
        std::ofstream(data_ / "trees" / "t" / "package" / "lib" / "file") << "content";
        for (const char* name : {"a", "b"}) {
            const auto home = data_ / "previews" / name;
            for (const char* layer : {"upper", "work", "at"}) {
                ASSERT_OK(make_dirs(home / layer, 0755));
            }
            ASSERT_OK(runner->own(home / "upper", 0, soon()));
            const auto mounted = runner->mount(data_ / "trees" / "t", home / "upper", home / "work",
                                               home / "at", soon());
            if (!mounted && mounted.error().code == Code::unavailable) {
                GTEST_SKIP() << "no overlays here";
            }
            ASSERT_OK(mounted);
        }
        RunSpec spec = shell(*runner, "mv", "mv package moved && cat moved/lib/file");
        spec.cwd = data_ / "previews" / "a" / "at";
        EXPECT_EQ(said(*runner, spec), "content");
        EXPECT_EQ(read_text(data_ / "previews/b/at/package/lib/file"), "content");
        EXPECT_EQ(read_text(data_ / "trees/t/package/lib/file"), "content");
        for (const char* name : {"a", "b"}) {
            EXPECT_OK(runner->umount(data_ / "previews" / name / "at", soon()));
        }
    });
}

}    // namespace
}    // namespace seatrial::process
