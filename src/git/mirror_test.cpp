#include "git/mirror.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <utime.h>

#include <thread>

#include "git/repository.h"
#include "git/test_repository.h"

namespace seatrial::git {
namespace {

using test::Repo;
using test::soon;
using test::TempFolder;

class MirrorTest : public testing::Test {
protected:
    // Everything up to `commit` that the mirror lacks, sent the way the command line does it.
    Status send(const std::string& commit) {
        TRY_ASSIGN(const auto found, find_repository(repo.path(), soon()));
        TRY_ASSIGN(const auto have, mirror.tips(soon()));
        const Fd out(
            ::open((folder / "b").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        TRY(write_bundle(found, commit, have, out.get(), soon()));
        TRY(mirror.ensure(soon()));
        return mirror.receive_bundle(folder / "b", commit, soon());
    }
    std::string mirror_git(const std::vector<std::string>& args) {
        std::vector<std::string> all{"--git-dir", mirror.folder().string()};
        all.insert(all.end(), args.begin(), args.end());
        return repo.git(all);
    }
    TempFolder folder;
    Repo repo{folder / "r"};
    Mirror mirror{folder / "mirrors/app.git"};
};

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

TEST_F(MirrorTest, KeepsMovesListsAndDeletesRefs) {
    const std::string first = repo.commit_file("a", "1");
    const std::string second = repo.commit_file("a", "2");
    ASSERT_TRUE(send(second));
    const std::string name = "st-abc123-x-0123456789ab";
    EXPECT_EQ(mirror.kept_commit(name).value(), "");
    ASSERT_TRUE(mirror.keep_ref(name, first, soon()));
    ASSERT_TRUE(mirror.keep_ref(name, second, soon()));
    EXPECT_EQ(mirror.kept_commit(name).value(), second);
    EXPECT_EQ(mirror.list_refs(soon()).value(), std::vector<std::string>{name});
    mirror_git({"pack-refs", "--all"});    // as an operator might
    EXPECT_EQ(mirror.kept_commit(name).value(), second);
    ASSERT_TRUE(mirror.keep_ref(name, first, soon()));
    EXPECT_EQ(mirror.kept_commit(name).value(), first);    // the loose one wins
    EXPECT_EQ(mirror.list_refs(soon()).value().size(), 1U);
    ASSERT_TRUE(mirror.delete_ref(name, soon()));
    EXPECT_EQ(mirror.kept_commit(name).value(), "");
    ASSERT_TRUE(mirror.delete_ref(name, soon()));
    EXPECT_EQ(mirror.keep_ref(name, std::string(40, '5'), soon()).error().code, Code::not_found);
    for (const char* hostile : {"", "../x", "a/b", "-x", "A", "x.lock", "a b", "a\nb"}) {
        EXPECT_EQ(mirror.keep_ref(hostile, first, soon()).error().code, Code::invalid);
        EXPECT_EQ(mirror.delete_ref(hostile, soon()).error().code, Code::invalid);
    }
}

TEST_F(MirrorTest, StaleLocksAndBrokenRefsOfAKilledProcessAreRepaired) {
    const std::string commit = repo.commit_file("a", "1");
    ASSERT_TRUE(send(commit));
    ASSERT_TRUE(mirror.keep_ref("x", commit, soon()));
    const auto ref = mirror.folder() / "refs/st/keep/x";
    test::write(ref.string() + ".lock", "");
    test::write(mirror.folder() / "packed-refs.lock", "");
    EXPECT_TRUE(mirror.delete_ref("x", soon()));
    test::write(ref.string() + ".lock", "");
    EXPECT_TRUE(mirror.keep_ref("x", commit, soon()));
    test::write(ref, "");    // a power cut
    EXPECT_EQ(mirror.list_refs(soon()).value(), std::vector<std::string>{"x"});
    EXPECT_EQ(mirror.kept_commit("x").value(), "");
    const auto again = mirror.keep_ref("x", commit, soon());
    EXPECT_TRUE(again) << again.error().message;
    EXPECT_EQ(mirror.kept_commit("x").value(), commit);
    test::write(ref, "");
    const auto deleted = mirror.delete_ref("x", soon());
    EXPECT_TRUE(deleted) << deleted.error().message;
    EXPECT_TRUE(mirror.list_refs(soon()).value().empty());
}

TEST_F(MirrorTest, LockOfALiveOwnerIsNotBroken) {
    const std::string commit = repo.commit_file("a", "1");
    ASSERT_TRUE(send(commit));
    const Fd other(::open((mirror.folder() / "seatrial.lock").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(other.get(), LOCK_SH), 0);
    const auto lock = mirror.folder() / "refs/st/keep/x.lock";
    test::write(lock, "");
    const auto kept =
        mirror.keep_ref("x", commit, Context().with_timeout(std::chrono::milliseconds(300)));
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, Code::timed_out);
    EXPECT_TRUE(std::filesystem::exists(lock));
}

TEST_F(MirrorTest, ManyAtOnceAllSucceed) {
    std::vector<std::string> commits;
    for (int i = 0; i < 20; ++i) {
        commits.push_back(repo.commit_file("a", std::to_string(i)));
    }
    ASSERT_TRUE(send(commits.back()));
    std::vector<std::thread> threads;
    std::atomic<int> failed = 0;
    for (std::size_t i = 0; i < commits.size(); ++i) {
        threads.emplace_back([&, i] {
            const std::string name = "n" + std::to_string(i);
            const bool fine = mirror.keep_ref("same", commits[i], soon()) &&
                              mirror.keep_ref(name, commits[i], soon()) &&
                              mirror.kept_commit(name).value() == commits[i] &&
                              mirror.delete_ref(name, soon());
            failed += fine ? 0 : 1;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(mirror.list_refs(soon()).value(), std::vector<std::string>{"same"});
}

TEST_F(MirrorTest, FetchesOneBranch) {
    const std::string main = repo.commit_file("a", "1");
    repo.git({"checkout", "-q", "-b", "feature/ä"});
    const std::string tip = repo.commit_file("a", "2");
    const auto got = mirror.fetch(repo.path().string(), "feature/ä", soon());
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(*got, tip);
    repo.git({"reset", "-q", "--hard", main});    // a forced push
    EXPECT_EQ(
        mirror.fetch("file://" + repo.path().string(), "refs/heads/feature/ä", soon()).value(),
        main);
    EXPECT_EQ(mirror.fetch(repo.path().string(), "gone", soon()).error().code, Code::not_found);
    EXPECT_EQ(mirror.fetch("ext::sh -c id", "main", soon()).error().code, Code::invalid);
    EXPECT_EQ(mirror.fetch(repo.path().string(), "--upload-pack=id", soon()).error().code,
              Code::invalid);
    EXPECT_NE(mirror.fetch((folder / "none").string(), "main", soon()).error().code,
              Code::not_found);
    EXPECT_FALSE(std::filesystem::exists(mirror.folder() / "FETCH_HEAD"));
    std::vector<std::thread> threads;
    std::atomic<int> failed = 0;
    for (int i = 0; i < 5; ++i) {
        threads.emplace_back([&] {
            failed +=
                mirror.fetch(repo.path().string(), "main", soon()).value_or("") == main ? 0 : 1;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failed, 0);
}

// A developer's repository on this machine; what its configuration names is never run by us.
TEST_F(MirrorTest, FetchesFromARepositoryOfSomebodyElse) {
    const std::string tip = repo.commit_file("a", "1");
    const std::string mark = (folder / "ran").string();
    test::write(folder / "evil", "#!/bin/sh\ntouch " + mark + "\nexec \"$@\"\n");
    std::filesystem::permissions(folder / "evil", std::filesystem::perms(0755));
    for (const char* key : {"uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand",
                            "core.alternateRefsCommand", "remote.origin.uploadpack"}) {
        repo.git({"config", key, (folder / "evil").string()});
    }
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(repo.path().c_str(), 2000001, 2000001), 0);
        ASSERT_EQ(::chown((repo / ".git").c_str(), 2000001, 2000001), 0);
    }
    const auto got = mirror.fetch(repo.path().string(), "main", soon());
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(*got, tip);
    const auto gone = mirror.fetch(repo.path().string(), "none", soon());
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Code::not_found);
    EXPECT_EQ(gone.error().field, "branch");
    const auto no_repository = mirror.fetch((folder / "none").string(), "main", soon());
    ASSERT_FALSE(no_repository);
    EXPECT_NE(no_repository.error().field, "branch");
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(MirrorTest, FetchOfADeadServerIsUnavailable) {
    const auto got = mirror.fetch("https://127.0.0.1:9/o/r.git", "main", soon());
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::unavailable) << got.error().message;
    CancelSource cancel;
    cancel.cancel();
    EXPECT_EQ(mirror.fetch("https://127.0.0.1:9/o/r.git", "main", cancel.context()).error().code,
              Code::cancelled);
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

TEST_F(MirrorTest, TidyJoinsPacksAndDropsOldArrivals) {
    EXPECT_TRUE(mirror.tidy(soon()));    // nothing there
    std::vector<std::string> commits;
    for (int i = 0; i < 24; ++i) {
        commits.push_back(repo.commit_file("a", std::to_string(i)));
        ASSERT_TRUE(send(commits.back()));
    }
    ASSERT_TRUE(mirror.keep_ref("old", commits[2], soon()));
    const utimbuf long_ago{::time(nullptr) - 7200, ::time(nullptr) - 7200};
    for (std::size_t i = 0; i < 10; ++i) {
        ::utime((mirror.folder() / "refs/st/in" / commits[i]).c_str(), &long_ago);
    }
    ASSERT_TRUE(mirror.tidy(soon()));
    ASSERT_TRUE(mirror.tidy(soon()));
    const auto arrivals = refs_below(mirror.folder(), "refs/st/in/").value();
    EXPECT_EQ(arrivals.size(), 14U);    // the old ones are gone, the newest stay
    EXPECT_FALSE(arrivals.contains(commits[9]));
    std::size_t packs = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(mirror.folder() / "objects/pack")) {
        packs += entry.path().extension() == ".pack" ? 1 : 0;
    }
    EXPECT_LT(packs, 10U);
    // The weekly one keeps everything that a ref holds.
    const utimbuf weeks_ago{::time(nullptr) - 3600 * 24 * 20, ::time(nullptr) - 3600 * 24 * 20};
    ASSERT_EQ(::utime((mirror.folder() / "seatrial-upkeep").c_str(), &weeks_ago), 0);
    const auto full = mirror.tidy(soon());
    ASSERT_TRUE(full) << full.error().message;
    EXPECT_EQ(mirror.read_blob(commits[2], "a", soon()).value(), "2");
    EXPECT_EQ(mirror_git({"fsck", "--full", "--no-dangling"}), "");
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
