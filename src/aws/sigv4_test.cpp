#include "aws/sigv4.h"

#include <gtest/gtest.h>

namespace seatrial::aws {
namespace {

// 2015-08-30T12:36:00Z, as in AWS' own examples.
constexpr WallTime example_time{std::chrono::seconds(1440938160)};
const Credentials example{"AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {}};

std::string value_of(const Pairs& headers, const std::string& name) {
    for (const auto& [key, value] : headers) {
        if (key == name) {
            return value;
        }
    }
    return "";
}

Signable ask_for_a_secret() {
    Signable out;
    out.host = "secretsmanager.ap-northeast-2.amazonaws.com";
    out.headers = {{"content-type", "application/x-amz-json-1.1"},
                   {"x-amz-target", "secretsmanager.GetSecretValue"}};
    out.body = R"({"SecretId":"shop/prd"})";
    return out;
}

// The signatures are those of botocore 1.44 for the same requests.
TEST(SigV4, IsThatOfBotocore) {
    const auto signed_headers =
        sign(ask_for_a_secret(), example, "ap-northeast-2", "secretsmanager", example_time);
    EXPECT_EQ(value_of(signed_headers, "x-amz-date"), "20150830T123600Z");
    EXPECT_EQ(value_of(signed_headers, "authorization"),
              "AWS4-HMAC-SHA256 "
              "Credential=AKIDEXAMPLE/20150830/ap-northeast-2/secretsmanager/aws4_request, "
              "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
              "Signature=61a9f6209aab6d67755ca25c1ec40a0299f61acdf147758e33162d5187b0e345");
}

TEST(SigV4, SignsTheTokenOfTemporaryCredentials) {
    Credentials temporary = example;
    temporary.session_token = Secret("token/with+signs==");
    const auto signed_headers =
        sign(ask_for_a_secret(), temporary, "ap-northeast-2", "secretsmanager", example_time);
    EXPECT_EQ(value_of(signed_headers, "x-amz-security-token"), "token/with+signs==");
    EXPECT_TRUE(value_of(signed_headers, "authorization")
                    .ends_with("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;"
                               "x-amz-target, Signature="
                               "5e81266e6605f5fec95b3ee98999ba427f74e51607c60b333060a9586979c96d"));
}

TEST(SigV4, SortsAndEscapesTheQueryAndEscapesThePathOnceMore) {
    Signable request;
    request.method = "GET";
    request.host = "example.amazonaws.com";
    request.path = "/a%20b/c";
    request.query = {{"z", "1"}, {"a", "x y"}, {"a", "+"}, {"b", ""}};
    request.headers = {{"my-header", "  two   words "}};
    const auto signed_headers = sign(request, example, "us-east-1", "service", example_time);
    EXPECT_TRUE(value_of(signed_headers, "authorization")
                    .ends_with("SignedHeaders=host;my-header;x-amz-date, Signature="
                               "697f3b5d02d10eaee81e572f8aa644ebc5f0f72d431718b4b8394d8a49207d60"));
}

}    // namespace
}    // namespace seatrial::aws
