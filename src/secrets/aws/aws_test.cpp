#include "secrets/aws/aws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::secrets::aws {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Aws, ASecretIsAJsonObjectOrOneValue) {
    const std::string body =
        R"({"ARN":"a","Name":"shop/prd","SecretString":"{\"USER\":\"u\",\"port\":5432}"})";
    const auto read = parse_answer(body, "");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->size(), 2U);
    EXPECT_EQ(read->at("port").reveal(), "5432");
    const auto one = parse_answer(body, "WHOLE");
    ASSERT_TRUE(one);
    EXPECT_EQ(one->size(), 1U);
    EXPECT_EQ(one->at("WHOLE").reveal(), R"({"USER":"u","port":5432})");
}

TEST(Aws, OtherSecretsAreRefusedWithoutBeingShown) {
    for (const char* text :
         {R"({"SecretBinary":"czNjcjN0"})", R"({"SecretString":"s3cr3t"})",
          R"({"SecretString":"[\"s3cr3t\"]"})", R"({"SecretString":"{\"A\":{\"b\":\"s3cr3t\"}}"})",
          R"({"SecretString":"{\"A\":\"s3cr3)"}) {
        const auto read = parse_answer(text, "");
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, Code::invalid);
        EXPECT_THAT(read.error().message + read.error().hint, Not(HasSubstr("s3cr3")));
    }
}

TEST(Aws, ARefusalIsShownOnlyWhenItIsKnown) {
    EXPECT_EQ(parse_refusal(R"({"__type":"com.amazonaws#ResourceNotFoundException"})"),
              "ResourceNotFoundException");
    EXPECT_EQ(parse_refusal(R"({"__type":"AccessDeniedException","message":"x"})"),
              "AccessDeniedException");
    EXPECT_EQ(parse_refusal(R"({"__type":"anything else"})"), "");
    EXPECT_EQ(parse_refusal(R"({"__type":7})"), "");
    EXPECT_EQ(parse_refusal("<xml>"), "");
}

}    // namespace
}    // namespace seatrial::secrets::aws
