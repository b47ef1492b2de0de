#include "secrets/vault/vault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::secrets::vault {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Vault, BothVersionsOfTheEngine) {
    const auto first = parse_answer(R"({"lease_duration":1,"data":{"A":"1","metadata":"m"}})");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->at("A").reveal(), "1");
    EXPECT_EQ(first->at("metadata").reveal(), "m");
    const auto second =
        parse_answer(R"({"data":{"data":{"A":"2"},"metadata":{"version":3,"destroyed":false}}})");
    ASSERT_TRUE(second);
    EXPECT_EQ(second->size(), 1U);
    EXPECT_EQ(second->at("A").reveal(), "2");
}

TEST(Vault, WhatIsGoneOrNonsenseIsRefused) {
    for (const char* text : {R"({"data":{"data":null,"metadata":{"deletion_time":"2026"}}})",
                             R"({"data":null})", R"({"errors":["s3cr3t"]})", "[]",
                             R"({"data":{"A":["s3cr3t"]}})", R"({"data":{"A":"s3cr)"}) {
        const auto read = parse_answer(text);
        ASSERT_FALSE(read) << text;
        EXPECT_THAT(read.error().message + read.error().hint, Not(HasSubstr("s3cr")));
    }
}

}    // namespace
}    // namespace seatrial::secrets::vault
