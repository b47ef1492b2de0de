#include "git/mirror.h"

#include <sys/stat.h>

#include "git/mirror_fixture.h"

namespace seatrial::git {
namespace {

TEST_F(MirrorTest, EnsureIsRepeatableAndMendsAHalfMadeOne) {
    EXPECT_TRUE(mirror.tips(soon()).value().empty());
    EXPECT_FALSE(mirror.has_commit(std::string(40, '1'), soon()).value());
    std::filesystem::create_directories(mirror.folder() / "objects");
    test::write(mirror.folder() / "config.lock", "");
    test::write(mirror.folder() / "HEAD", "");
    ASSERT_TRUE(mirror.ensure(soon()));
    ASSERT_TRUE(mirror.ensure(soon()));
    EXPECT_EQ(mirror_git({"rev-parse", "--is-bare-repository"}), "true");
    EXPECT_EQ(mirror_git({"for-each-ref"}), "");
    EXPECT_EQ(mirror_git({"fsck", "--no-dangling"}), "");
}

TEST_F(MirrorTest, IsReadableByOthersWhateverTheUmask) {
    const mode_t old = ::umask(077);
    const std::string commit = repo.commit_file("a", "1");
    const auto sent = send(commit);
    const auto kept = mirror.keep_ref("st-abc123-x", commit, soon());
    ::umask(old);
    ASSERT_TRUE(sent) << sent.error().message;
    ASSERT_TRUE(kept) << kept.error().message;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(mirror.folder())) {
        struct stat info{};
        ASSERT_EQ(::lstat(entry.path().c_str(), &info), 0);
        const auto name = entry.path().filename().string();
        if (name == "seatrial.lock" || name == "seatrial-mirror") {
            continue;
        }
        EXPECT_TRUE((info.st_mode & S_IROTH) != 0) << entry.path();
        EXPECT_TRUE((info.st_mode & S_IWOTH) == 0) << entry.path();
    }
}

TEST_F(MirrorTest, TellsTheTipOfALocalBranchThatItKnows) {
    const std::string first = repo.commit_file("a", "1");
    const auto git_folder = repo / ".git";
    const auto tip = [&](const std::string& branch) {
        return mirror.known_tip(git_folder, branch, soon());
    };
    EXPECT_EQ(tip("main"), "") << "it has nothing yet";
    ASSERT_TRUE(send(first));
    EXPECT_EQ(tip("main"), first);
    EXPECT_EQ(tip("refs/heads/main"), first);
    EXPECT_EQ(tip("gone"), "");
    EXPECT_EQ(tip("../../HEAD"), "");
    ASSERT_EQ(::mkfifo((git_folder / "refs/heads/pipe").c_str(), 0600), 0);
    EXPECT_EQ(tip("pipe"), "");
    std::filesystem::remove(git_folder / "refs/heads/pipe");
    const std::string second = repo.commit_file("a", "2");
    EXPECT_EQ(tip("main"), "") << "only a fetch brings it";
    repo.git({"reset", "-q", "--hard", first});
    EXPECT_EQ(tip("main"), first);
    repo.git({"pack-refs", "--all"});
    EXPECT_EQ(tip("main"), "") << "packed refs are left to git";
}

TEST_F(MirrorTest, CarriesCommitsByBundleStepByStep) {
    repo.write("big", std::string(300000, 'x'));
    const std::string first = repo.commit("first");
    ASSERT_TRUE(send(first));
    EXPECT_TRUE(mirror.has_commit(first, soon()).value());
    EXPECT_EQ(mirror.tips(soon()).value(), std::vector<std::string>{first});
    const std::string second = repo.commit_file("a", "2");
    EXPECT_FALSE(mirror.has_commit(second, soon()).value());
    ASSERT_TRUE(send(second));
    EXPECT_LT(std::filesystem::file_size(folder / "b"), 2000U);    // only what was missing
    EXPECT_EQ(mirror.read_blob(second, "a", soon()).value(), "2");
    EXPECT_EQ(mirror.read_blob(second, "nope", soon()).error().code, Code::not_found);
    EXPECT_EQ(mirror_git({"fsck", "--full", "--no-dangling"}), "");
}

TEST_F(MirrorTest, TakesABundleOfGitWithPrerequisites) {
    const std::string first = repo.commit_file("a", "1");
    ASSERT_TRUE(send(first));
    const std::string second = repo.commit_file("a", "2");
    repo.git({"bundle", "create", "-q", (folder / "g").string(), "main", "--not", first});
    ASSERT_TRUE(mirror.receive_bundle(folder / "g", second, soon()));
    EXPECT_TRUE(mirror.has_commit(second, soon()).value());
}

TEST_F(MirrorTest, RefusesBrokenBundles) {
    const std::string first = repo.commit_file("a", "1");
    const std::string second = repo.commit_file("a", "2");
    const std::string third = repo.commit_file("a", "3");
    ASSERT_TRUE(mirror.ensure(soon()));
    // Builds on a commit that is not here.
    repo.git({"bundle", "create", "-q", (folder / "thin").string(), "main", "--not", first});
    EXPECT_EQ(mirror.receive_bundle(folder / "thin", third, soon()).error().code, Code::invalid);
    EXPECT_FALSE(mirror.has_commit(third, soon()).value());
    // Is fine, but another commit was promised.
    repo.git({"bundle", "create", "-q", (folder / "whole").string(), "main"});
    EXPECT_EQ(mirror.receive_bundle(folder / "whole", second, soon()).error().code, Code::invalid);
    EXPECT_EQ(mirror.receive_bundle(folder / "whole", "main", soon()).error().code, Code::invalid);
    EXPECT_EQ(mirror.receive_bundle(folder / "none", third, soon()).error().code, Code::not_found);
    EXPECT_EQ(mirror.receive_bundle(folder.path(), third, soon()).error().code, Code::invalid);
    const std::string whole = test::slurp(folder / "whole");
    const std::vector<std::string> broken = {
        "",
        "\n\n",
        "# v2 git bundle\n",
        "# v2 git bundle\n\n",
        whole.substr(0, 30),
        whole.substr(0, whole.size() - 30),
        "# v3" + whole.substr(4),
        "# v2 git bundle\n" + std::string(3 << 20, 'a'),
        "# v2 git bundle\n-" + third + "\x01\n\n",
        "# v2 git bundle\n" + third + " refs/heads/x\n\nPACKgarbage",
        "# v2 git bundle\n" + std::string(40, '9') + " x\n\n" + whole.substr(whole.find("PACK"))};
    for (const auto& content : broken) {
        test::write(folder / "broken", content);
        const auto got = mirror.receive_bundle(
            folder / "broken",
            content.find("9999") != std::string::npos ? std::string(40, '9') : third, soon());
        ASSERT_FALSE(got) << content.substr(0, 60);
        EXPECT_EQ(got.error().code, Code::invalid) << got.error().message;
    }
    std::string flipped = whole;
    flipped[flipped.size() - 25] = static_cast<char>(flipped[flipped.size() - 25] ^ 0x20);
    test::write(folder / "broken", flipped);
    EXPECT_EQ(mirror.receive_bundle(folder / "broken", third, soon()).error().code, Code::invalid);
    EXPECT_TRUE(mirror.tips(soon()).value().empty());
}

// A tree with an entry ".git" is how CVE-like bundles overwrite a repository's own files.
TEST_F(MirrorTest, RefusesObjectsThatFsckRefuses) {
    repo.commit_file("a", "1");
    test::write(folder / "x", "evil\n");
    const std::string blob = repo.git({"hash-object", "-w", (folder / "x").string()});
    for (const std::string name : {".git", "..", "."}) {
        std::string raw = "100644 " + name;
        raw += '\0';
        for (std::size_t i = 0; i < blob.size(); i += 2) {
            raw += static_cast<char>(std::stoi(blob.substr(i, 2), nullptr, 16));
        }
        test::write(folder / "tree", raw);
        const std::string tree = repo.git(
            {"hash-object", "-w", "-t", "tree", "--literally", (folder / "tree").string()});
        const std::string commit = repo.git({"commit-tree", "-m", "evil", tree});
        const auto sent = send(commit);
        ASSERT_FALSE(sent) << name;
        EXPECT_EQ(sent.error().code, Code::invalid) << sent.error().message;
    }
}

// Histories that carry old, harmless faults are common (zero-padded modes of old tools).
TEST_F(MirrorTest, ToleratesOldFaultsOfRealHistories) {
    repo.commit_file("d/a", "1");
    const std::string sub = repo.git({"rev-parse", "HEAD:d"});
    std::string raw = "040000 d";
    raw += '\0';
    for (std::size_t i = 0; i < sub.size(); i += 2) {
        raw += static_cast<char>(std::stoi(sub.substr(i, 2), nullptr, 16));
    }
    test::write(folder / "tree", raw);
    const std::string tree =
        repo.git({"hash-object", "-w", "-t", "tree", "--literally", (folder / "tree").string()});
    const std::string commit = repo.git({"commit-tree", "-m", "old", tree});
    const auto sent = send(commit);
    EXPECT_TRUE(sent) << sent.error().message;
}

TEST_F(MirrorTest, TreeDigestFollowsTheNamedFilesOnly) {
    repo.write("package-lock.json", "1");
    repo.write("apps/web/package-lock.json", "1");
    repo.write("other", "1");
    repo.write("odd[1]", "1");
    const std::string first = repo.commit("1");
    repo.write("other", "2");
    const std::string same = repo.commit("2");
    repo.write("apps/web/package-lock.json", "2");
    const std::string changed = repo.commit("3");
    repo.git({"mv", "package-lock.json", "moved"});
    const std::string moved = repo.commit("4");
    ASSERT_TRUE(send(moved));
    const auto digest = [&](const std::string& commit, const std::vector<std::string>& paths) {
        return mirror.tree_digest(commit, paths, soon()).value();
    };
    const std::vector<std::string> one{"package-lock.json"};
    const std::vector<std::string> glob{"**/package-lock.json"};
    EXPECT_EQ(digest(first, one), digest(changed, one));
    EXPECT_NE(digest(first, one), digest(moved, one));
    EXPECT_EQ(digest(first, glob), digest(same, glob));
    EXPECT_NE(digest(same, glob), digest(changed, glob));
    EXPECT_EQ(digest(same, {"apps"}), digest(same, {"apps/web/package-lock.json"}));
    EXPECT_NE(digest(first, {"missing"}), digest(first, one));
    EXPECT_EQ(digest(first, {}), digest(changed, {}));
    for (const char* hostile : {":(exclude)x", "--output=x", ":!a"}) {
        EXPECT_EQ(digest(first, {hostile}), digest(first, {"missing"})) << hostile;
    }
    EXPECT_EQ(mirror.tree_digest(first, {"../x"}, soon()).error().code, Code::invalid);
    EXPECT_EQ(mirror.tree_digest("HEAD", one, soon()).error().code, Code::invalid);
}

// Dies by SIGKILL at a failpoint of receive or init, in a child of its own; then all is repeated.
TEST_F(MirrorTest, KilledAtAnyPointIsRepeatable) {
    if (const std::string at = test::from_env("SEATRIAL_TEST_MIRROR"); !at.empty()) {
        const std::string commit = test::from_env("SEATRIAL_TEST_COMMIT");
        const Mirror target(std::filesystem::path(at) / "m/app.git");
        ASSERT_TRUE(target.ensure(soon()));
        ASSERT_TRUE(target.receive_bundle(std::filesystem::path(at) / "b", commit, soon()));
        return;
    }
    const std::string commit = repo.commit_file("a", "1");
    repo.git({"bundle", "create", "-q", (folder / "b").string(), "main"});
    for (const char* point : {"mirror.init.before", "mirror.init.after", "mirror.receive.before",
                              "mirror.receive.indexed"}) {
        process::Command again;
        again.argv = {std::filesystem::read_symlink("/proc/self/exe").string(),
                      "--gtest_filter=MirrorTest.KilledAtAnyPointIsRepeatable"};
        again.env = {"TMPDIR=" + folder.path().string(),
                     "SEATRIAL_TEST_MIRROR=" + folder.path().string(),
                     "SEATRIAL_TEST_COMMIT=" + commit,
                     std::string("SEATRIAL_FAILPOINTS=") + point + "=kill"};
        EXPECT_EQ(process::run_command(again, soon()).value().exit_code, 128 + SIGKILL) << point;
        again.env.pop_back();
        const auto repeated = process::run_command(again, soon());
        EXPECT_EQ(repeated.value().exit_code, 0) << repeated->out;
        const Mirror target(folder / "m/app.git");
        EXPECT_EQ(target.tips(soon()).value(), std::vector<std::string>{commit});
        std::filesystem::remove_all(folder / "m");
    }
}

}    // namespace
}    // namespace seatrial::git
