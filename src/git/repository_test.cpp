#include "git/repository.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "git/test_repository.h"

namespace seatrial::git {
namespace {

using test::Repo;
using test::soon;
using test::TempFolder;

TEST(FindRepository, TellsRootBranchRemoteAndDefault) {
    TempFolder folder;
    const Repo repo(folder / "r");
    repo.commit_file("sub/dir/a", "1");
    repo.git({"checkout", "-q", "-b", "feature/x"});
    repo.git({"remote", "add", "origin", "https://user:s3cret@host.example/o/r.git"});
    const auto found = find_repository(repo / "sub/dir", soon());
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->root, std::filesystem::canonical(repo.path()));
    EXPECT_EQ(found->common_dir, std::filesystem::canonical(repo / ".git"));
    EXPECT_EQ(found->branch, "refs/heads/feature/x");
    EXPECT_EQ(found->remote, "https://host.example/o/r.git");
    EXPECT_EQ(found->default_branch, "refs/heads/main");
    EXPECT_FALSE(found->shallow);
}

TEST(FindRepository, KnowsLinkedWorktreesDetachedAndUnbornHeads) {
    TempFolder folder;
    const Repo repo(folder / "r");
    const auto unborn = find_repository(repo.path(), soon());
    ASSERT_TRUE(unborn) << unborn.error().message;
    EXPECT_EQ(unborn->branch, "refs/heads/main");
    EXPECT_EQ(unborn->default_branch, "refs/heads/main");
    EXPECT_EQ(unborn->remote, "");

    const std::string commit = repo.commit_file("a", "1");
    repo.git({"worktree", "add", "-q", "--detach", (folder / "linked").string()});
    const auto linked = find_repository(folder / "linked", soon());
    ASSERT_TRUE(linked) << linked.error().message;
    EXPECT_EQ(linked->branch, "");
    EXPECT_EQ(linked->common_dir, std::filesystem::canonical(repo / ".git"));
    EXPECT_EQ(resolve(*linked, "HEAD", soon()).value(), commit);
}

TEST(FindRepository, DefaultBranchFollowsOrigin) {
    TempFolder folder;
    const Repo origin(folder / "o");
    origin.git({"checkout", "-q", "-b", "trunk"});
    origin.commit_file("a", "1");
    const Repo clone(folder / "c");
    clone.git({"remote", "add", "origin", origin.path().string()});
    clone.git({"fetch", "-q", "origin"});
    clone.git({"remote", "set-head", "origin", "trunk"});
    clone.git({"checkout", "-q", "-b", "mine", "origin/trunk"});
    const auto found = find_repository(clone.path(), soon());
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->default_branch, "refs/heads/trunk");
    EXPECT_EQ(found->remote, origin.path().string());
}

TEST(FindRepository, OutsideIsNotFound) {
    TempFolder folder;
    const auto none = find_repository(folder.path(), soon());
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::not_found);
}

TEST(FindRepository, SomebodyElsesIsRefused) {
    TempFolder folder;
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can make a repository of somebody else";
    }
    const Repo repo(folder / "r");
    repo.commit_file("a", "1");
    for (const char* path : {"r", "r/.git"}) {
        ASSERT_EQ(::chown((folder / path).c_str(), 2000001, 2000001), 0);
    }
    const auto foreign = find_repository(repo.path(), soon());
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, Code::refused);
    EXPECT_NE(foreign.error().hint.find("safe.directory"), std::string::npos);
}

class Resolve : public testing::Test {
protected:
    Result<std::string> ask(const std::string& ref) {
        TRY_ASSIGN(const auto found, find_repository(repo.path(), soon()));
        return resolve(found, ref, soon());
    }
    TempFolder folder;
    Repo repo{folder / "r"};
};

TEST_F(Resolve, TriesBranchesBeforeRemotesTagsAndCommits) {
    const std::string first = repo.commit_file("a", "1");
    const std::string second = repo.commit_file("a", "2");
    repo.git({"tag", "-a", "-m", "v", "v1", first});
    repo.git({"branch", "v1-branch", first});
    repo.git({"update-ref", "refs/remotes/origin/far", first});
    repo.git({"tag", "both", first});
    repo.git({"branch", "both", second});
    EXPECT_EQ(ask("main").value(), second);
    EXPECT_EQ(ask("refs/heads/main").value(), second);
    EXPECT_EQ(ask("HEAD").value(), second);
    EXPECT_EQ(ask("v1").value(), first);    // an annotated tag gives its commit
    EXPECT_EQ(ask("refs/tags/both").value(), first);
    EXPECT_EQ(ask("both").value(), second);
    EXPECT_EQ(ask("far").value(), first);
    EXPECT_EQ(ask("origin/far").value(), first);
    EXPECT_EQ(ask(first).value(), first);
    EXPECT_EQ(ask(first.substr(0, 10)).value(), first);
}

TEST_F(Resolve, NamesWhatMayBeMeant) {
    repo.commit_file("a", "1");
    repo.git({"branch", "feature/login"});
    const auto close = ask("feature/logn");
    ASSERT_FALSE(close);
    EXPECT_EQ(close.error().code, Code::not_found);
    EXPECT_NE(close.error().hint.find("feature/login"), std::string::npos);
    const auto far = ask("zzz");
    ASSERT_FALSE(far);
    EXPECT_NE(far.error().hint.find("main"), std::string::npos);
    EXPECT_EQ(ask("--upload-pack=x").error().code, Code::invalid);
    EXPECT_EQ(ask("main^{tree}").error().code, Code::invalid);
    EXPECT_EQ(ask("main\nmain").error().code, Code::invalid);
    EXPECT_EQ(ask(std::string(40, '0')).error().code, Code::not_found);
}

TEST_F(Resolve, RunsNoHookFilterOrMonitorOfTheRepository) {
    repo.commit_file("a", "1");
    const std::string mark = (folder / "ran").string();
    test::write(folder / "evil", "#!/bin/sh\ntouch " + mark + "\n");
    std::filesystem::permissions(folder / "evil", std::filesystem::perms(0755));
    const std::string evil = (folder / "evil").string();
    for (const char* key : {"core.fsmonitor", "core.pager", "core.sshCommand", "diff.external"}) {
        repo.git({"config", key, evil});
    }
    std::filesystem::create_directories(repo / ".git/hooks");
    std::filesystem::copy(folder / "evil", repo / ".git/hooks/reference-transaction");
    const auto found = find_repository(repo.path(), soon());
    ASSERT_TRUE(found);
    ASSERT_TRUE(resolve(*found, "main", soon()));
    ASSERT_TRUE(read_blob(*found, repo.head(), "a", soon()));
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(Resolve, ReadsBlobsOfACommitOnly) {
    repo.write("seatrial.yaml", "app: shop\n");
    repo.write("dir/empty", "");
    std::filesystem::create_symlink("/etc/passwd", repo / "link");
    const std::string commit = repo.commit("files");
    repo.write("seatrial.yaml", "changed, not committed");
    const auto found = find_repository(repo.path(), soon()).value();
    const auto read = [&](const std::string& path) {
        return read_blob(found, commit, path, soon());
    };
    EXPECT_EQ(read("seatrial.yaml").value(), "app: shop\n");
    EXPECT_EQ(read("dir/empty").value(), "");
    EXPECT_EQ(read("link").value(), "/etc/passwd");    // its own content, never the target's
    for (const char* path : {"missing", "dir", "dir/x", "x blob", "a b c"}) {
        EXPECT_EQ(read(path).error().code, Code::not_found) << path;
    }
    for (const char* path : {"", "/etc/passwd", "../x", "dir/../x", "./a", "a\nb", "a//b"}) {
        EXPECT_EQ(read(path).error().code, Code::invalid) << path;
    }
    EXPECT_EQ(read_blob(found, "main", "a", soon()).error().code, Code::invalid);
    EXPECT_EQ(read_blob(found, std::string(40, '1'), "a", soon()).error().code, Code::not_found);
}

TEST_F(Resolve, BlobOverTheLimitIsRefused) {
    repo.write("big", std::string((16 << 20) + 1, 'x'));
    repo.write("fits", std::string(16 << 20, 'y'));
    const std::string commit = repo.commit("big");
    const auto found = find_repository(repo.path(), soon()).value();
    EXPECT_EQ(read_blob(found, commit, "big", soon()).error().code, Code::invalid);
    const auto fits = read_blob(found, commit, "fits", soon());
    ASSERT_TRUE(fits) << fits.error().message;
    EXPECT_EQ(fits->size(), 16U << 20);
}

class Bundle : public testing::Test {
protected:
    // Writes a bundle file and returns its size.
    Result<std::uintmax_t> bundle(const std::string& commit, const std::vector<std::string>& have) {
        const Fd out(
            ::open((folder / "b").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        TRY_ASSIGN(const auto found, find_repository(repo.path(), soon()));
        TRY(write_bundle(found, commit, have, out.get(), soon()));
        return std::filesystem::file_size(folder / "b");
    }
    TempFolder folder;
    Repo repo{folder / "r"};
};

TEST_F(Bundle, GitItselfAcceptsIt) {
    repo.commit_file("a", "1");
    const std::string commit = repo.commit_file("a", "2");
    ASSERT_GT(bundle(commit, {}).value(), 100U);
    const Repo other(folder / "other");
    other.git({"bundle", "verify", (folder / "b").string()});
    other.git({"fetch", "-q", (folder / "b").string(), "refs/st/in/" + commit + ":refs/heads/x"});
    EXPECT_EQ(other.git({"show", "x:a"}), "2");
    // Nothing was written to the sender.
    EXPECT_EQ(repo.git({"for-each-ref", "--format=%(refname)"}), "refs/heads/main");
}

TEST_F(Bundle, LeavesOutWhatTheReceiverHas) {
    repo.write("big", std::string(200000, 'x') + std::to_string(std::rand()));
    const std::string first = repo.commit("first");
    const std::string second = repo.commit_file("a", "2");
    const auto whole = bundle(second, {}).value();
    const auto part = bundle(second, {first, std::string(40, 'e')}).value();
    EXPECT_LT(part, whole);
    EXPECT_GT(part, 100U);
    EXPECT_EQ(bundle(second, {second}).value(), 0U);
    EXPECT_EQ(bundle(first, {second}).value(), 0U);    // an ancestor of what is there
    EXPECT_EQ(bundle(std::string(40, 'e'), {}).error().code, Code::not_found);
    EXPECT_EQ(bundle("--all", {}).error().code, Code::invalid);
    EXPECT_EQ(bundle(second, {"--all"}).error().code, Code::invalid);
}

TEST_F(Bundle, ShallowCloneIsRefusedWithTheRemedy) {
    repo.commit_file("a", "1");
    const std::string tip = repo.commit_file("a", "2");
    repo.git({"clone", "-q", "--depth", "1", "file://" + repo.path().string(),
              (folder / "shallow").string()});
    const auto found = find_repository(folder / "shallow", soon()).value();
    EXPECT_TRUE(found.shallow);
    const auto sent = write_bundle(found, tip, {}, 1, soon());
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().hint, "git fetch --unshallow");
}

}    // namespace
}    // namespace seatrial::git
