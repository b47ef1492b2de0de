// Refs of a mirror: kept, fetched, repaired, tidied.
#include <sys/file.h>
#include <utime.h>

#include <thread>

#include "git/mirror_fixture.h"
#include "git/ref_files.h"

namespace seatrial::git {
namespace {

using std::chrono::hours;

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

TEST_F(MirrorTest, StaleLocksAreGoneAfterTheStartOfADaemon) {
    const std::string commit = repo.commit_file("a", "1");
    ASSERT_TRUE(send(commit));
    ASSERT_TRUE(mirror.keep_ref("x", commit, soon()));
    const auto ref = mirror.folder() / "refs/st/keep/x.lock";
    const auto packed = mirror.folder() / "packed-refs.lock";
    test::write(ref, "");
    test::write(packed, "");
    ASSERT_TRUE(drop_stale_locks(mirror.folder().parent_path(), soon()));
    EXPECT_FALSE(std::filesystem::exists(ref));
    EXPECT_FALSE(std::filesystem::exists(packed));
    EXPECT_EQ(mirror.kept_commit("x").value(), commit);
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
    EXPECT_EQ(gone.error().mark, "branch");
    const auto no_repository = mirror.fetch((folder / "none").string(), "main", soon());
    ASSERT_FALSE(no_repository);
    EXPECT_NE(no_repository.error().mark, "branch");
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

TEST_F(MirrorTest, TidyJoinsPacksAndDropsOldArrivals) {
    EXPECT_TRUE(mirror.tidy(hours(24), soon()));    // nothing there
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
    ASSERT_TRUE(mirror.tidy(hours(24), soon()));
    ASSERT_TRUE(mirror.tidy(hours(24), soon()));
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
    const auto full = mirror.tidy(hours(24), soon());
    ASSERT_TRUE(full) << full.error().message;
    EXPECT_EQ(mirror.read_blob(commits[2], "a", soon()).value(), "2");
    EXPECT_EQ(mirror_git({"fsck", "--full", "--no-dangling"}), "");
}

TEST_F(MirrorTest, TidyDropsSavedWorkOnceItIsOldAndNamesIt) {
    const std::string commit = repo.commit_file("a", "1");
    ASSERT_TRUE(send(commit));
    for (const char* name : {"st-abc123-old", "st-abc123-new"}) {
        ASSERT_TRUE(mirror.keep_salvage(name, commit, soon()));
    }
    const utimbuf two_days_ago{::time(nullptr) - 2 * 86'400, ::time(nullptr) - 2 * 86'400};
    ASSERT_EQ(::utime((mirror.folder() / "refs/st/salvage/st-abc123-old").c_str(), &two_days_ago),
              0);
    EXPECT_EQ(mirror.tidy(hours(72), soon()).value(), std::vector<std::string>{});
    EXPECT_EQ(mirror.tidy(hours(24), soon()).value(), std::vector<std::string>{"st-abc123-old"});
    const auto left = refs_below(mirror.folder(), "refs/st/salvage/").value();
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left.begin()->first, "st-abc123-new");
}

}    // namespace
}    // namespace seatrial::git
