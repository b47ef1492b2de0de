#include "git/refs.h"

#include <gtest/gtest.h>

#include <set>

#include "base/text.h"
#include "git/test_repository.h"

namespace seatrial::git {
namespace {

using namespace std::string_view_literals;

TEST(ParseBranch, GivesTheFullRef) {
    EXPECT_EQ(parse_branch("feature/x").value(), "refs/heads/feature/x");
    EXPECT_EQ(parse_branch("refs/heads/feature/x").value(), "refs/heads/feature/x");
    EXPECT_EQ(parse_branch("PROJ-1_ä.b@c").value(), "refs/heads/PROJ-1_ä.b@c");
    EXPECT_EQ(parse_branch(std::string(250, 'a')).value().size(), 261U);
}

TEST(ParseBranch, RefusesOtherRefsAndSpecialNames) {
    for (const char* name : {"refs/tags/v1", "refs/heads/refs/tags/v1", "HEAD", "@", "refs/heads/",
                             "refs/heads/-x", ""}) {
        const auto branch = parse_branch(name);
        ASSERT_FALSE(branch) << name;
        EXPECT_EQ(branch.error().code, Code::invalid);
    }
}

// Pieces of attacks, each alone and around, before and after a harmless name: over 500 names.
constexpr std::string_view hostile_pieces[] = {"$(touch pwned)",
                                               "`id`",
                                               ";reboot",
                                               "; rm -rf /",
                                               "&& id",
                                               "|id",
                                               "--upload-pack=touch x",
                                               "--upload-pack=x",
                                               "--output=/etc/x",
                                               "-c",
                                               "--",
                                               "-",
                                               "--exec=id",
                                               "../",
                                               "../../etc/passwd",
                                               "..",
                                               "/",
                                               "//",
                                               "/etc",
                                               "a//b",
                                               ".",
                                               "./x",
                                               "x/.",
                                               "x/.git",
                                               ".git/config",
                                               "x.lock",
                                               "x.lock/y",
                                               "a.lock",
                                               "@{",
                                               "@{-1}",
                                               "@{u}",
                                               "HEAD@{1}",
                                               "^",
                                               "^{commit}",
                                               "~1",
                                               ":",
                                               ":x",
                                               "main:secret",
                                               "?",
                                               "*",
                                               "[a]",
                                               "\\",
                                               "\\n",
                                               " ",
                                               "a b",
                                               "\t",
                                               "a\0b"sv,
                                               "\0"sv,
                                               "\n",
                                               "a\nb",
                                               "\r\nx",
                                               "a\rb",
                                               "\x01",
                                               "\x1b[31m",
                                               "\x7f",
                                               "\xc2\x80",
                                               "\xc2\x9b",
                                               "\u202egpj",
                                               "\u202b",
                                               "\u2066x",
                                               "\u200b",
                                               "\u200f",
                                               "\ufeff",
                                               "\u061c",
                                               "\xff",
                                               "\xfe\xff",
                                               "\xc0\xaf",
                                               "\xc3\x28",
                                               "\xed\xa0\x80",
                                               "\xf5\x80\x80\x80",
                                               "\xe2\x80",
                                               "%s%s%n",
                                               "%00",
                                               "${IFS}",
                                               "'; DROP DATABASE x; --",
                                               "\"",
                                               "'",
                                               "<script>",
                                               "a>b",
                                               "!x",
                                               "#x",
                                               "=x",
                                               "refs/heads",
                                               "refs/../x",
                                               "\u0430",
                                               "\uff0f",
                                               "\u2215",
                                               "\u043c\u0430\u0456n",
                                               "ext::sh -c id",
                                               "file:///etc/passwd",
                                               "\b",
                                               "\v",
                                               "con",
                                               "nul.",
                                               "x..y",
                                               "x.",
                                               "{a,b}",
                                               "a@{b"};

std::vector<std::string> hostile_corpus() {
    std::vector<std::string> pieces(std::begin(hostile_pieces), std::end(hostile_pieces));
    pieces.insert(pieces.end(),
                  {std::string(251, 'a'), std::string(5000, 'b'), std::string(251, '\xc3')});
    std::set<std::string> names;
    for (const auto& piece : pieces) {
        names.insert({piece, "feature" + piece, piece + "feature", "feature/" + piece,
                      piece + "/feature", "refs/heads/" + piece});
    }
    return {names.begin(), names.end()};
}

TEST(ParseBranch, HostileCorpusIsRefusedOrAFullRef) {
    const auto corpus = hostile_corpus();
    EXPECT_GE(corpus.size(), 500U);
    std::size_t refused = 0;
    for (const auto& name : corpus) {
        const auto branch = parse_branch(name);
        if (!branch) {
            ++refused;
            EXPECT_EQ(branch.error().code, Code::invalid);
            // What a person reads about it is safe to print.
            EXPECT_EQ(printable(branch.error().message), branch.error().message);
            continue;
        }
        EXPECT_TRUE(branch->starts_with("refs/heads/"));
        EXPECT_EQ(branch->find_first_of(std::string("\0\n\r\t ~^:?*[\\\x7f", 13)),
                  std::string::npos);
        EXPECT_EQ(branch->find(".."), std::string::npos);
        EXPECT_EQ(branch->find("/-"),
                  name.find("/-") == std::string::npos ? std::string::npos : branch->find("/-"));
        EXPECT_NE((*branch)[11], '-');
        EXPECT_TRUE(is_valid_utf8(*branch));
    }
    EXPECT_GT(refused, corpus.size() / 2);
}

// Everything we accept, git accepts too.
TEST(ParseBranch, GitAgreesWithWhatIsAccepted) {
    std::set<std::string> accepted;
    for (const auto& name : hostile_corpus()) {
        if (const auto branch = parse_branch(name)) {
            accepted.insert(*branch);
        }
    }
    ASSERT_GT(accepted.size(), 20U);
    for (const auto& ref : accepted) {
        Call call;
        call.cwd = "/";
        call.args = {"check-ref-format", ref};
        EXPECT_EQ(run_git(call, test::soon()).value().exit_code, 0) << ref;
    }
}

TEST(CommitId, IsFortyLowerHexDigits) {
    EXPECT_TRUE(is_commit_id("0123456789abcdef0123456789abcdef01234567"));
    EXPECT_FALSE(is_commit_id("0123456789ABCDEF0123456789abcdef01234567"));
    EXPECT_FALSE(is_commit_id("0123456789abcdef0123456789abcdef0123456"));
    EXPECT_FALSE(is_commit_id("0123456789abcdef0123456789abcdef012345678"));
    EXPECT_FALSE(is_commit_id("--upload-pack=x0123456789abcdef012345678"));
    EXPECT_FALSE(is_commit_id(""));
}

TEST(ParseRemote, AcceptsTheUsualForms) {
    for (const char* url :
         {"https://github.com/o/r.git", "https://host.example:8443/o/r", "ssh://git@host/o/r.git",
          "ssh://git@host:2222/o/r.git", "git@github.com:o/r.git", "host:path/r.git",
          "file:///srv/git/r.git", "/srv/git/r.git", "https://[2001:db8::1]/r"}) {
        EXPECT_TRUE(parse_remote(url)) << url;
    }
}

TEST(ParseRemote, RefusesWhatCouldRunOrLeak) {
    for (const char* url : {"ext::sh -c id",
                            "ext::sh% -c% id",
                            "fd::17",
                            "transport::address",
                            "-oProxyCommand=id",
                            "--upload-pack=touch x",
                            "ssh://-oProxyCommand=id/x",
                            "ssh://git@-oProxyCommand=id/x",
                            "git@-oProxyCommand=id:x",
                            "-x@host:y",
                            "host:-x",
                            "ssh://host/-x",
                            "https://user:token@host/r",
                            "https://token@host/r",
                            "ssh://git:pw@host/r",
                            "http://host/r",
                            "git://host/r",
                            "ftp://host/r",
                            "file://host/r",
                            "https://",
                            "https:///r",
                            "https://host",
                            "https://ho st/r",
                            "https://host/r;id",
                            "https://host/$(id)",
                            "relative/path",
                            "../up",
                            "",
                            "https://host/\nr",
                            "https://host/\xe2\x80\xaer",
                            "https://h\xff/r",
                            "javascript://x/y"}) {
        const auto remote = parse_remote(url);
        EXPECT_FALSE(remote) << url;
        if (!remote) {
            EXPECT_EQ(remote.error().message.find("token"), std::string::npos) << url;
        }
    }
}

}    // namespace
}    // namespace seatrial::git
