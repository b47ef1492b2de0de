#include "git/mirror_fixture.h"

namespace seatrial::git {
namespace {

class ArchiveTest : public MirrorTest {
protected:
    // The files that come out, a line each.
    std::string files(const std::string& below, const Mirror::LeaveOut& leave_out = {}) {
        const Fd out(
            ::open((folder / "tar").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        const auto written = mirror.archive(commit, below, out.get(), soon(), leave_out);
        EXPECT_TRUE(written) << written.error().message;
        process::Command list;
        list.argv = {"/usr/bin/tar", "-tf", (folder / "tar").string()};
        return process::run_checked(list, soon()).value().out;
    }
    void SetUp() override {
        repo.commit_file("web/a b.js", "1");
        repo.commit_file("web/lib/c.md", "2");
        commit = repo.commit_file("top", "3");
        ASSERT_TRUE(send(commit));
    }
    std::string commit;
};

TEST_F(ArchiveTest, HoldsAFolderOrAllOfACommit) {
    EXPECT_EQ(files(""), "top\nweb/\nweb/a b.js\nweb/lib/\nweb/lib/c.md\n");
    EXPECT_EQ(files("web"), "a b.js\nlib/\nlib/c.md\n");
}

TEST_F(ArchiveTest, LeavesOutWhatItIsTold) {
    const auto no_js = [](std::string_view path) { return path.ends_with(".js"); };
    EXPECT_EQ(files("web", no_js), "lib/\nlib/c.md\n");
    EXPECT_EQ(files("web/lib", no_js), "c.md\n");
    EXPECT_EQ(files("", [](std::string_view path) { return path != "top"; }), "top\n");
    EXPECT_EQ(files("", [](std::string_view) { return true; }), "");
    for (const auto& entry : std::filesystem::directory_iterator(mirror.folder())) {
        EXPECT_FALSE(entry.path().filename().string().starts_with("archive-")) << entry.path();
    }
}

TEST_F(ArchiveTest, WhatAKilledOneLeftGoesWithUpkeep) {
    const auto old = mirror.folder() / "archive-abc";
    const auto fresh = mirror.folder() / "archive-def";
    test::write(old / "index", "x");
    test::write(fresh / "index", "x");
    const timespec long_ago[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, old.c_str(), long_ago, 0), 0);
    ASSERT_TRUE(mirror.tidy(std::chrono::hours(1), soon()));
    EXPECT_FALSE(std::filesystem::exists(old));
    EXPECT_TRUE(std::filesystem::exists(fresh));
}

}    // namespace
}    // namespace seatrial::git
