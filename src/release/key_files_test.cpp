#include "release/key_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "release/variables.h"
#include "support/temp_dir.h"

namespace seatrial::release {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string private_key = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n";

Context soon() {
    return Context().with_timeout(std::chrono::seconds(20));
}

class KeyFilesTest : public testing::Test {
protected:
    std::string file(const std::string& name, const std::string& text, mode_t mode) {
        const auto path = folder_.path() / name;
        EXPECT_TRUE(write_file_atomic(path, text, mode));
        EXPECT_EQ(::chmod(path.c_str(), mode), 0);
        return path.string();
    }
    static std::vector<std::string> told(const config::Environment& environment) {
        std::vector<std::string> out;
        for (const auto& fault : check_files(environment, soon())) {
            out.push_back(config::render_fault(fault));
        }
        return out;
    }
    test::TempDir folder_;
};

TEST_F(KeyFilesTest, APrivateKeyIsItsOwnersAlone) {
    config::Environment place;
    auto& keys = place.release.key_files;
    keys["private"].file = file("private.pem", private_key, 0644);
    keys["public"].file = file("public.pem", "-----BEGIN PUBLIC KEY-----\n", 0664);
    keys["zabsent"].file = folder_.path() / "absent";
    EXPECT_THAT(
        told(place),
        ElementsAre(AllOf(HasSubstr("mode 0644"), HasSubstr("chmod 600 " + keys["private"].file)),
                    AllOf(HasSubstr("mode 0664"), HasSubstr("chmod 644 " + keys["public"].file)),
                    HasSubstr("cannot be read")));
    keys.erase("zabsent");
    ASSERT_EQ(::chmod(keys["private"].file.c_str(), 0600), 0);
    ASSERT_EQ(::chmod(keys["public"].file.c_str(), 0644), 0);
    EXPECT_THAT(told(place), IsEmpty());
}

TEST_F(KeyFilesTest, EnvFilesAreForFewAndHoldNoKey) {
    config::Environment place;
    place.release.env_files = {
        file(".env.stg", "A=1\nJWT_PRIVATE_KEY=\"" + private_key + "\"\n", 0644)};
    EXPECT_THAT(told(place), ElementsAre(AllOf(HasSubstr("warning"), HasSubstr("chmod o-r"))));
    const auto read = read_variables(place.release.env_files, {});
    ASSERT_EQ(read.faults.size(), 1U);
    EXPECT_EQ(read.faults[0].line, 2);
    EXPECT_EQ(read.faults[0].key, "JWT_PRIVATE_KEY");
    EXPECT_FALSE(read.faults[0].warning);
    EXPECT_EQ(config::render_fault(read.faults[0]).find("AAAA"), std::string::npos);
}

TEST_F(KeyFilesTest, ACopyIsReadableInAFolderThatIsNot) {
    const std::string key = file("private.pem", private_key, 0600);
    const auto root = folder_.path() / "keys";
    const std::vector<KeyFile> files = {{"jwt", key, "/app/jwt.pem"}};
    ASSERT_TRUE(copy_key_files(files, root / "life-a"));
    struct stat seen{};
    ASSERT_EQ(::stat((root / "life-a").c_str(), &seen), 0);
    EXPECT_EQ(seen.st_mode & 07777U, 0700U);
    ASSERT_EQ(::stat((root / "life-a/jwt").c_str(), &seen), 0);
    EXPECT_EQ(seen.st_mode & 07777U, 0444U);
    // The slot keeps what it began with.
    file("private.pem", "other", 0600);
    ASSERT_TRUE(copy_key_files(files, root / "life-a"));
    EXPECT_EQ(*read_file(root / "life-a/jwt", 1000), private_key);
    ASSERT_TRUE(copy_key_files(files, root / "life-b"));
    ASSERT_TRUE(keep_key_files(root, {"life-b"}));
    EXPECT_FALSE(std::filesystem::exists(root / "life-a"));
    EXPECT_TRUE(std::filesystem::exists(root / "life-b"));
    ASSERT_TRUE(remove_key_files(root / "life-b"));
    ASSERT_TRUE(remove_key_files(root / "life-b"));
    ASSERT_TRUE(keep_key_files(folder_.path() / "nowhere", {}));
    ASSERT_FALSE(copy_key_files({{"x", folder_.path() / "absent", "/x"}}, root / "life-c"));
}

}    // namespace
}    // namespace seatrial::release
