#include "http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;

Handler named(const std::string& name) {
    return [name](const Request&, const Context&) { return Response{200, {}, name}; };
}

class RouterTest : public ::testing::Test {
protected:
    std::string call(const std::string& method, std::string_view target) {
        Request request;
        request.method = method;
        EXPECT_TRUE(parse_target(target, request));
        refusal_ = {};
        const Route* route = router_.find(request, refusal_);
        if (route == nullptr) {
            return std::to_string(refusal_.status);
        }
        std::string text =
            route->kind == RouteKind::stream ? "stream" : route->handler(request, Context()).body;
        for (const auto& [name, value] : request.params) {
            text += " " + name + "=" + value;
        }
        return text;
    }

    Router router_{{
        {"GET", "/", RouteKind::normal, named("root"), {}},
        {"GET", "/previews", RouteKind::normal, named("list"), {}},
        {"POST", "/previews", RouteKind::normal, named("make"), {}},
        {"GET", "/previews/mine", RouteKind::normal, named("mine"), {}},
        {"GET", "/previews/{id}", RouteKind::normal, named("one"), {}},
        {"DELETE", "/previews/{id}", RouteKind::normal, named("stop"), {}},
        {"GET",
         "/events",
         RouteKind::stream,
         {},
         [](const Request&, const std::shared_ptr<EventStream>&, const Context&) {
             return Response{};
         }},
        {"GET", "/ui/{rest*}", RouteKind::normal, named("ui"), {}},
    }};
    Response refusal_;
};

TEST_F(RouterTest, FirstRowThatFitsWins) {
    EXPECT_EQ(call("GET", "/"), "root");
    EXPECT_EQ(call("GET", "/previews"), "list");
    EXPECT_EQ(call("POST", "/previews"), "make");
    EXPECT_EQ(call("GET", "/previews/mine"), "mine");
    EXPECT_EQ(call("GET", "/previews/a%2Fb"), "one id=a/b");
    EXPECT_EQ(call("DELETE", "/previews/mine"), "stop id=mine");
    EXPECT_EQ(call("GET", "/ui"), "ui rest=");
    EXPECT_EQ(call("GET", "/ui/a/b.js"), "ui rest=a/b.js");
}

TEST_F(RouterTest, NothingThereIs404) {
    for (const std::string_view target :
         {"/x", "/previews/", "/previews//", "/previews/a/b", "//", "/Previews"}) {
        EXPECT_EQ(call("GET", target), "404") << target;
    }
    EXPECT_THAT(refusal_.body, HasSubstr("there is nothing at /Previews"));
}

TEST_F(RouterTest, OtherMethodIs405WithWhatIsAllowed) {
    EXPECT_EQ(call("PUT", "/previews"), "405");
    EXPECT_THAT(refusal_.headers, ::testing::Contains(Pair("allow", "GET, POST")));
    EXPECT_EQ(call("PATCH", "/previews/mine"), "405");
    EXPECT_THAT(refusal_.headers, ::testing::Contains(Pair("allow", "GET, DELETE")));
}

TEST_F(RouterTest, HeadIsGetButNotForStreams) {
    EXPECT_EQ(call("HEAD", "/previews"), "list");
    EXPECT_EQ(call("HEAD", "/events"), "405");
    EXPECT_EQ(call("GET", "/events"), "stream");
}

TEST(RouterDeathTest, BadTableAborts) {
    EXPECT_DEATH(Router({{"GET", "x", RouteKind::normal, named(""), {}}}), "slash");
    EXPECT_DEATH(Router({{"GET", "/x", RouteKind::stream, named(""), {}}}), "handler");
    EXPECT_DEATH(Router({{"GET", "/{r*}/x", RouteKind::normal, named(""), {}}}), "rest");
}

}    // namespace
}    // namespace seatrial::http
