#include "secrets/doppler/doppler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::secrets::doppler {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Doppler, AnAnswerIsAnObjectOfTexts) {
    const auto read = parse_answer(
        R"({"URL":"a=b\n","PORT":1,"ON":true,"DOPPLER_CONFIG":"prd","DOPPLER_PROJECT":"p"})");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->size(), 3U);
    EXPECT_EQ(read->at("URL").reveal(), "a=b\n");
    EXPECT_EQ(read->at("PORT").reveal(), "1");
    EXPECT_EQ(read->at("ON").reveal(), "true");
}

TEST(Doppler, NonsenseIsRefusedWithoutBeingShown) {
    const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
    const std::string bad[] = {R"({"A":"s3cr3t","B":"cut)", "",
                               "<html>s3cr3t</html>",       R"(["s3cr3t"])",
                               R"({"A":{"raw":"s3cr3t"}})", R"({"A":null})",
                               R"({"A":)" + deep + "}"};
    for (const auto& text : bad) {
        const auto read = parse_answer(text);
        ASSERT_FALSE(read) << text.substr(0, 80);
        EXPECT_EQ(read.error().code, Code::invalid);
        EXPECT_THAT(read.error().message + read.error().hint, Not(HasSubstr("s3cr3t")));
    }
}

}    // namespace
}    // namespace seatrial::secrets::doppler
