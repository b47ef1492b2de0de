#include "aws/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "base/file.h"
#include "support/temp_dir.h"

namespace seatrial::aws {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* file_text =
    "# of the team\n[default]\naws_access_key_id = AKIDEFAULT\naws_secret_access_key=abc/+=\n"
    "region = x\n\n[deploy]\naws_access_key_id=AKIDEPLOY\naws_secret_access_key = s3cr3t-part\n"
    "aws_session_token = token\n[broken]\naws_access_key_id = AKIBROKEN\n";

class CredentialsTest : public testing::Test {
protected:
    std::filesystem::path file(mode_t mode = 0600) {
        const auto path = folder_.path() / "credentials";
        EXPECT_TRUE(write_file_atomic(path, file_text, mode));
        return path;
    }
    Lookup lookup() {
        return [this](const char* name) {
            const auto found = environment_.find(name);
            return found == environment_.end() ? std::nullopt : std::optional(found->second);
        };
    }
    std::map<std::string, std::string> environment_;
    test::TempDir folder_;
};

TEST_F(CredentialsTest, TheEnvironmentComesFirst) {
    environment_ = {{"AWS_ACCESS_KEY_ID", "AKIENV"},
                    {"AWS_SECRET_ACCESS_KEY", "x"},
                    {"AWS_SESSION_TOKEN", "t"},
                    {"AWS_SHARED_CREDENTIALS_FILE", file().string()}};
    const auto found = find_credentials("", "", lookup());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->key_id, "AKIENV");
    EXPECT_EQ(found->session_token.reveal(), "t");
    // What is named goes before it.
    EXPECT_EQ(find_credentials("deploy", "", lookup())->key_id, "AKIDEPLOY");
    EXPECT_EQ(find_credentials("", file(), lookup())->key_id, "AKIDEFAULT");
}

TEST_F(CredentialsTest, ProfilesOfAFile) {
    environment_["AWS_SHARED_CREDENTIALS_FILE"] = file().string();
    const auto usual = find_credentials("", "", lookup());
    ASSERT_TRUE(usual);
    EXPECT_EQ(usual->key_id, "AKIDEFAULT");
    EXPECT_EQ(usual->secret.reveal(), "abc/+=");
    EXPECT_TRUE(usual->session_token.empty());
    environment_["AWS_PROFILE"] = "deploy";
    const auto deploy = find_credentials("", "", lookup());
    ASSERT_TRUE(deploy);
    EXPECT_EQ(deploy->session_token.reveal(), "token");
    EXPECT_EQ(find_credentials("nobody", "", lookup()).error().code, Code::not_found);
    const auto broken = find_credentials("broken", "", lookup());
    ASSERT_FALSE(broken);
    EXPECT_THAT(broken.error().message, HasSubstr("are not complete"));
}

TEST_F(CredentialsTest, AFileThatOthersReadIsRefused) {
    const auto found = find_credentials("", file(0640), lookup());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::refused);
    EXPECT_THAT(found.error().hint, HasSubstr("chmod 600"));
    EXPECT_EQ(find_credentials("", "/nonexistent/x", lookup()).error().code, Code::invalid);
}

TEST_F(CredentialsTest, AValueThatIsNoHeaderIsRefusedAndNotShown) {
    environment_ = {{"AWS_ACCESS_KEY_ID", "AKI"}, {"AWS_SECRET_ACCESS_KEY", "s3cr3t\r\nx: y"}};
    const auto found = find_credentials("", "", lookup());
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().message, Not(HasSubstr("s3cr3t")));
}

}    // namespace
}    // namespace seatrial::aws
