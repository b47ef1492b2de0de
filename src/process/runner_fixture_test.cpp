#include "process/runner_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/names.h"
#include "process/cgroup.h"
#include "process/members.h"
#include "process/proc.h"
#include "process/tree.h"
#include "support/ordinary_user.h"

namespace seatrial::process {
namespace {

int counter = 0;

std::filesystem::path built_helper() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "seatrial-helper";
}

}    // namespace

bool eventually(const std::function<bool()>& reached) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!reached()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

std::string read_text(const std::filesystem::path& path) {
    const auto text = read_file(path, 64 << 20);
    return text ? *text : "";
}

Context soon(int seconds) {
    return Context().with_timeout(std::chrono::seconds(seconds));
}

void RunnerFixture::move_base(const std::filesystem::path& parent) {
    if (!base_.empty()) {
        std::filesystem::remove_all(base_);
    }
    std::string pattern = (parent / "seatrial-run-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    ASSERT_EQ(::chmod(pattern.c_str(), 0777), 0);
    data_ = base_ / "data";
    // An ordinary user may not be able to reach the build folder.
    std::filesystem::copy_file(built_helper(), base_ / "helper");
    ::chmod((base_ / "helper").c_str(), 0755);
}

void RunnerFixture::SetUp() {
    move_base("/tmp");
    instance_ = "t" + std::to_string(::getpid() % 100000) + "x" + std::to_string(counter++);
}

void RunnerFixture::TearDown() {
    const auto mounts = read_file("/proc/self/mountinfo", 8 << 20);
    const CgroupLayout groups =
        ::geteuid() == 0 ? open_cgroups(find_cgroup_mounts(mounts ? *mounts : ""), "auto")
                         : CgroupLayout{};
    for (const auto& name : list_cgroups(groups)) {
        if (is_our_name(instance_, name)) {
            EXPECT_OK(end_members(members_of(groups, name), std::chrono::milliseconds(0), soon()));
            EXPECT_OK(remove_cgroups(groups, name));
            ADD_FAILURE() << "the test left cgroup " << name;
        }
    }
    close_cgroups(groups);
    const Fd parent(::open(base_.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    EXPECT_OK(remove_tree(parent, base_.filename()));
}

void RunnerFixture::in_child(const World& world, const std::function<void()>& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (!world.root) {
            test::leave_root();
        }
        ::setenv("SEATRIAL_HELPER", (base_ / "helper").c_str(), 1);
        ::setenv("SEATRIAL_CGROUPS", world.cgroups, 1);
        body();
        std::fflush(nullptr);
        ::_exit(HasFailure() ? 1 : IsSkipped() ? 77 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        GTEST_SKIP() << "skipped, for the reason above";
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << "the child failed, see above (status " << status << ")";
}

std::unique_ptr<Runner> RunnerFixture::open(const std::string& instance) {
    auto opened = Runner::open({data_, instance.empty() ? instance_ : instance, "60990"});
    EXPECT_OK(opened);
    if (!opened) {
        std::fflush(nullptr);
        ::_exit(2);
    }
    return std::move(*opened);
}

std::filesystem::path RunnerFixture::make_tree(Runner& runner, const std::string& name, int slot) {
    const auto tree = data_ / "previews" / name;
    EXPECT_OK(make_dirs(tree, 0700));
    if (runner.privileged()) {
        EXPECT_OK(runner.own(tree, slot, soon()));
    }
    return tree;
}

RunSpec RunnerFixture::shell(Runner& runner, const std::string& name, const std::string& script) {
    RunSpec spec;
    spec.name = name_of(name);
    spec.argv = {"/bin/sh", "-c", script};
    spec.env = {"PATH=/usr/bin:/bin"};
    spec.uid_slot = runner.privileged() ? 0 : -1;
    spec.cwd = make_tree(runner, "tree");
    spec.log = data_ / "logs" / name;
    return spec;
}

std::string RunnerFixture::name_of(const std::string& text) const {
    return make_name(instance_, text, "0123456789ab");
}

std::string RunnerFixture::log_of(const std::string& name) const {
    return read_text(data_ / "logs" / name);
}

void RunnerWorlds::SetUp() {
    if (GetParam().root && ::geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    RunnerFixture::SetUp();
}

}    // namespace seatrial::process
