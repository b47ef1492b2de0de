#include "http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

Request parsed(std::string_view target) {
    Request request;
    const auto status = parse_target(target, request);
    EXPECT_TRUE(status) << target;
    return request;
}

TEST(Target, PathSegmentsAndQueryAreDecodedAfterTheyAreDivided) {
    const auto request = parsed("/api/a%2Fb/%C3%BC?x=1+2&y=%26&bare&z=a=b&x=3");
    EXPECT_EQ(request.path, "/api/a/b/ü");
    EXPECT_THAT(request.segments, ElementsAre("api", "a/b", "ü"));
    EXPECT_THAT(request.query, ElementsAre(Pair("x", "1 2"), Pair("y", "&"), Pair("bare", ""),
                                           Pair("z", "a=b"), Pair("x", "3")));
    EXPECT_EQ(request.query_value("x"), "1 2");
    EXPECT_EQ(request.query_value("none"), std::nullopt);
}

TEST(Target, EdgeForms) {
    EXPECT_THAT(parsed("/").segments, ElementsAre());
    EXPECT_THAT(parsed("/a").segments, ElementsAre("a"));
    EXPECT_THAT(parsed("/a/").segments, ElementsAre("a", ""));
    EXPECT_THAT(parsed("//a").segments, ElementsAre("", "a"));
    EXPECT_THAT(parsed("/a+b").segments, ElementsAre("a+b"));
    EXPECT_THAT(parsed("/a#frag?x=1").segments, ElementsAre("a"));
    EXPECT_THAT(parsed("http://host:1/p?q=1").segments, ElementsAre("p"));
    EXPECT_THAT(parsed("http://host").segments, ElementsAre());
    EXPECT_THAT(parsed("/?").query, ElementsAre());
}

TEST(Target, HostileOnesAreInvalid) {
    for (const std::string_view target : {"", "*", "a", "/%", "/%2", "/%zz", "/%00", "/%0a", "/%7f",
                                          "/%ff", "/%c3", "/?x=%0d", "/?%zz=1", "http://host?x"}) {
        Request request;
        const auto status = parse_target(target, request);
        ASSERT_FALSE(status) << target;
        EXPECT_EQ(status.error().code, Code::invalid);
    }
}

TEST(Problem, IsADocumentOfRfc9457) {
    const auto response = problem(404, "not_found", "no preview \"X\"\n", "see ls");
    EXPECT_EQ(response.status, 404);
    EXPECT_THAT(response.headers, ElementsAre(Pair("content-type", "application/problem+json")));
    EXPECT_EQ(response.body, R"({"type":"about:blank","title":"Not Found","status":404,)"
                             R"("detail":"no preview \"X\"\n","code":"not_found","hint":"see ls"})"
                             "\n");
}

TEST(Problem, FromAnErrorWithCauseFieldAndHint) {
    Error error = wrap(fail(Code::unavailable, "no server", "start it").value(), "clone").value();
    error.field = "x.yaml:3";
    const auto response = problem(error);
    EXPECT_EQ(response.status, 503);
    EXPECT_THAT(response.body, HasSubstr(R"("detail":"clone: no server")"));
    EXPECT_THAT(response.body, HasSubstr(R"("code":"unavailable","hint":"start it")"));
    EXPECT_THAT(response.body, HasSubstr(R"("field":"x.yaml:3")"));
    EXPECT_THAT(response.headers, ::testing::Contains(Pair("retry-after", "1")));
}

TEST(Problem, EveryCodeHasAStatusAndEveryStatusAReason) {
    for (const Code code :
         {Code::invalid, Code::failed, Code::not_found, Code::conflict, Code::refused,
          Code::unavailable, Code::timed_out, Code::cancelled, Code::internal}) {
        EXPECT_GE(status_of(code), 400);
        EXPECT_NE(reason_of(status_of(code)), "Unknown");
    }
}

TEST(JsonString, EscapesWhatJsonWants) {
    EXPECT_EQ(json_string("a\"\\\n\t\x01ü"), "\"a\\\"\\\\\\n\\u0009\\u0001ü\"");
    EXPECT_EQ(json_string("a\xff\xfe"), "\"a??\"");
    EXPECT_EQ(json_string(""), "\"\"");
}

TEST(Head, CannotBeSplitByAValue) {
    const Response response{200, {{"x-branch", "a\r\nset-cookie: x=1\n\n<html>"}}, ""};
    const auto head = render_head(response, 5, true);
    EXPECT_THAT(head, HasSubstr("x-branch: a  set-cookie: x=1  <html>\r\n"));
    EXPECT_THAT(head, HasSubstr("content-length: 5\r\n"));
    EXPECT_THAT(head, HasSubstr("connection: keep-alive\r\n\r\n"));
    EXPECT_THAT(head, HasSubstr("date: "));
    EXPECT_THAT(render_head({204, {}, ""}, 0, false), Not(HasSubstr("content-length")));
    EXPECT_THAT(render_head({200, {}, ""}, std::nullopt, false), Not(HasSubstr("content-length")));
}

}    // namespace
}    // namespace seatrial::http
