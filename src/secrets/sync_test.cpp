#include "secrets/sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config/env_file.h"
#include "support/temp_dir.h"

namespace seatrial::secrets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* private_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
constexpr const char* public_key = "-----BEGIN PUBLIC KEY-----\\nBBBB\\n-----END PUBLIC KEY-----";

class SyncTest : public testing::Test {
protected:
    SyncTest() {
        source_.kind = "doppler";
        source_.place = "shop";
        source_.config = "prd";
        source_.sync.file = (folder_.path() / ".env.prd").string();
    }
    void with_keys() {
        source_.sync.keys = {{"JWT_PRIVATE_KEY", (folder_.path() / "private.pem").string()},
                             {"JWT_PUBLIC_KEY", (folder_.path() / "public.pem").string()}};
    }
    Result<SyncReport> sync(const Values& values, bool adopt = false, bool dry_run = false) {
        return synchronise(source_, values, {dry_run, adopt});
    }
    std::string text(const std::string& path) {
        return read_file(path, 1 << 20).value_or("absent");
    }
    std::string env() { return text(source_.sync.file); }
    static mode_t mode(const std::string& path) {
        struct stat info{};
        return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
    }
    static std::vector<std::string> lines(const SyncReport& report) {
        std::vector<std::string> out;
        for (const auto& change : report.changes) {
            out.push_back(change.what + " " + change.name);
        }
        return out;
    }
    test::TempDir folder_;
    config::SecretSource source_;
};

Values values(const std::map<std::string, std::string>& in) {
    Values out;
    for (const auto& [name, value] : in) {
        out[name] = Secret(value);
    }
    return out;
}

TEST_F(SyncTest, WhatIsWrittenIsReadTheSame) {
    const std::map<std::string, std::string> odd = {{"A", "plain"},
                                                    {"B", "two\nlines\r\n"},
                                                    {"C", R"(quote " back \ dollar $x \n)"},
                                                    {"D", " # spaced "},
                                                    {"E", ""},
                                                    {"F", "'single'\t\xC3\xA4"}};
    ASSERT_TRUE(sync(values(odd)));
    const auto read = config::parse_env_file(env(), "x");
    EXPECT_TRUE(read.ok());
    std::map<std::string, std::string> got;
    for (const auto& [name, entry] : read.value) {
        got[name] = entry.value;
    }
    EXPECT_EQ(got, odd);
    EXPECT_EQ(mode(source_.sync.file), 0600U);
}

TEST_F(SyncTest, DifferencesAreNamesAlone) {
    ASSERT_TRUE(sync(values({{"A", "1"}, {"B", "s3cr3t"}, {"C", "3"}})));
    const auto planned = sync(values({{"A", "1"}, {"B", "other"}, {"D", "4"}}), false, true);
    ASSERT_TRUE(planned);
    EXPECT_THAT(lines(*planned), ElementsAre("changed B", "added D", "removed C"));
    EXPECT_FALSE(planned->written);
    EXPECT_THAT(env(), HasSubstr("s3cr3t"));    // still
    const auto done = sync(values({{"A", "1"}, {"B", "other"}, {"D", "4"}}));
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->written);
    const auto again = sync(values({{"A", "1"}, {"B", "other"}, {"D", "4"}}));
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->written);
    EXPECT_THAT(again->changes, IsEmpty());
    // A mode that somebody has opened is closed again.
    ASSERT_EQ(::chmod(source_.sync.file.c_str(), 0644), 0);
    EXPECT_TRUE(sync(values({{"A", "1"}, {"B", "other"}, {"D", "4"}}))->written);
    EXPECT_EQ(mode(source_.sync.file), 0600U);
}

TEST_F(SyncTest, WhatIsWrittenByHandIsNotOverwrittenUnasked) {
    ASSERT_TRUE(write_file_atomic(source_.sync.file, "MINE=1\n", 0600));
    const auto refused = sync(values({{"A", "1"}}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().hint, HasSubstr("--adopt"));
    EXPECT_EQ(env(), "MINE=1\n");
    EXPECT_THAT(sync(values({{"A", "1"}}), false, true)->by_hand, ElementsAre(source_.sync.file));
    ASSERT_TRUE(sync(values({{"A", "1"}}), true));
    // Changed by hand since counts, too.
    ASSERT_TRUE(write_file_atomic(source_.sync.file, env() + "MORE=1\n", 0600));
    EXPECT_FALSE(sync(values({{"A", "2"}})));
    EXPECT_THAT(env(), HasSubstr("MORE=1"));
    ASSERT_EQ(::unlink(source_.sync.file.c_str()), 0);
    ASSERT_EQ(::symlink("/etc/hostname", source_.sync.file.c_str()), 0);
    EXPECT_EQ(sync(values({{"A", "1"}}), true).error().code, Code::refused);
}

TEST_F(SyncTest, KeysGoIntoFilesOfTheirOwn) {
    with_keys();
    const auto both =
        values({{"A", "1"}, {"JWT_PRIVATE_KEY", private_key}, {"JWT_PUBLIC_KEY", public_key}});
    const auto done = sync(both);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_THAT(lines(*done),
                ElementsAre("added A", "added JWT_PRIVATE_KEY", "added JWT_PUBLIC_KEY"));
    EXPECT_THAT(env(), Not(HasSubstr("JWT_PRIVATE_KEY=")));
    EXPECT_THAT(env(), Not(HasSubstr("AAAA")));
    const std::string hidden = source_.sync.keys["JWT_PRIVATE_KEY"];
    const std::string open = source_.sync.keys["JWT_PUBLIC_KEY"];
    EXPECT_EQ(text(hidden), std::string(private_key) + "\n");
    EXPECT_EQ(text(open), "-----BEGIN PUBLIC KEY-----\nBBBB\n-----END PUBLIC KEY-----\n");
    EXPECT_EQ(mode(hidden), 0600U);
    EXPECT_EQ(mode(open), 0644U);
    EXPECT_FALSE(sync(both)->written);
    // One that was put there by hand stays.
    ASSERT_TRUE(write_file_atomic(hidden, "another", 0600));
    EXPECT_EQ(sync(both).error().code, Code::refused);
    EXPECT_EQ(text(hidden), "another");
    EXPECT_TRUE(sync(both, true)->written);
}

TEST_F(SyncTest, AKeyWithoutAFileAndAFileWithoutAKeyWriteNothing) {
    for (const auto& bad : {values({{"JWT_PRIVATE_KEY", "x"}}), values({{"OTHER", private_key}})}) {
        const auto refused = sync(bad);
        ASSERT_FALSE(refused);
        EXPECT_THAT(refused.error().message, HasSubstr("sync.keys"));
        EXPECT_THAT(refused.error().message, Not(HasSubstr("AAAA")));
    }
    with_keys();
    EXPECT_FALSE(sync(values({{"A", "1"}, {"JWT_PUBLIC_KEY", public_key}})));
    EXPECT_EQ(env(), "absent");
}

TEST_F(SyncTest, ASyncThatWasCutShortIsToldAndGoesOn) {
    with_keys();
    const auto first =
        values({{"A", "1"}, {"JWT_PRIVATE_KEY", private_key}, {"JWT_PUBLIC_KEY", public_key}});
    auto second = first;
    second["JWT_PRIVATE_KEY"] = Secret("-----BEGIN PRIVATE KEY-----\nCCCC\n");
    ASSERT_TRUE(sync(first));
    EXPECT_EQ(unfinished_sync(source_), "");
    const std::string hidden = source_.sync.keys["JWT_PRIVATE_KEY"];
    const std::string old = text(hidden);
    ASSERT_TRUE(sync(second));
    // As it is between the two files.
    ASSERT_TRUE(write_file_atomic(hidden, old, 0600));
    EXPECT_EQ(unfinished_sync(source_), hidden);
    const auto done = sync(second);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(unfinished_sync(source_), "");
    EXPECT_THAT(text(hidden), HasSubstr("CCCC"));
    // Or a third one by then.
    ASSERT_TRUE(write_file_atomic(hidden, old, 0600));
    ASSERT_TRUE(sync(first));
    EXPECT_EQ(unfinished_sync(source_), "");
}

}    // namespace
}    // namespace seatrial::secrets
