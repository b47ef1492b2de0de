// Which slot and component a request reaches, what the app sees of it, and what is counted.
#include "edge/haproxy_fixture.h"

namespace seatrial::edge {
namespace {

class RoutingTest : public HaproxyTest {};

TEST_F(RoutingTest, ServesNothingThenASlotThenTheOtherAndBack) {
    const Origin web1("web1");
    const Origin api1("api1");
    const Origin web2("web2");
    const Origin api2("api2");
    start();
    EXPECT_EQ(get("/").substr(0, 3), "503");
    put("a", web1, api1);
    site().stable = "a";
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/"), "200 web1");
    EXPECT_EQ(get("/api"), "200 api1");
    EXPECT_EQ(get("/api/x?y=/"), "200 api1");
    EXPECT_EQ(get("/apix"), "200 web1");
    put("b", web2, api2);
    site().probes["b"] = Secret("tryme");
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/"), "200 web1");
    EXPECT_EQ(get("/", {{"x-seatrial-probe", "tryme"}}), "200 web2");
    EXPECT_EQ(get("/", {{"x-seatrial-probe", "guess"}}), "200 web1");
    site().stable = "b";
    apply();
    EXPECT_EQ(get("/"), "200 web2");
    EXPECT_EQ(get("/api/x"), "200 api2");
    site().stable = "a";
    apply();
    EXPECT_EQ(get("/"), "200 web1");
    // Five for users: the probe is not counted, and the slot's parts are.
    EXPECT_EQ(counts("a").requests, 7);
    EXPECT_EQ(counts("b").requests, 2);
}

TEST_F(RoutingTest, AppsSeeWhoReallyCalledAndNeverTheProbe) {
    const Origin web("web");
    put("a", web, web);
    site().stable = "a";
    site().probes["a"] = Secret("tryme");
    start();
    for (const std::string probe : {"tryme", "guess"}) {
        const auto answer = client.request(request("/", {{"x-forwarded-for", "6.6.6.6"},
                                                         {"x-forwarded-proto", "gopher"},
                                                         {"x-forwarded-host", "evil.example"},
                                                         {"host", "Shop.example:80"},
                                                         {"x-seatrial-probe", probe}}),
                                           soon());
        ASSERT_TRUE(answer);
        for (const std::string claim : {"6.6.6.6", "gopher", "evil", "seatrial-probe"}) {
            EXPECT_EQ(answer->body.find(claim), std::string::npos) << claim;
        }
        for (const std::string truth :
             {"\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx-forwarded-proto: http\r\n",
              "\r\nx-forwarded-host: Shop.example:80\r\n"}) {
            EXPECT_NE(answer->body.find(truth), std::string::npos) << truth;
        }
    }
}

TEST_F(RoutingTest, AHostsOwnRoutesComeAndGoWithoutAReload) {
    const Origin web("web");
    const Origin api("api");
    put("a", web, api);
    // No name is what stands for "no component".
    site().components.push_back("-");
    site().slots["a"]["-"] = {api.where()};
    site().routes = {{"", "/shop", "web"}};
    start();
    EXPECT_EQ(get("/shop").substr(0, 3), "503");
    EXPECT_EQ(get("/").substr(0, 3), "404");
    site().stable = "a";
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/shop/x"), "200 web");
    EXPECT_EQ(get("/").substr(0, 3), "404");
    EXPECT_EQ(get("/", {{"host", "api.example"}}).substr(0, 3), "404");
    site().routes.push_back({"api.example", "/", "api"});
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/Shop", {{"host", "API.example:80"}}), "200 api");
    EXPECT_EQ(get("/shop", {{"host", "xapi.example"}}), "200 web");
    EXPECT_EQ(get("/", {{"host", "xapi.example"}}).substr(0, 3), "404");
    // The other slot, too.
    const Origin candidate("candidate");
    put("b", candidate, candidate);
    site().probes["b"] = Secret("tryme");
    EXPECT_FALSE(apply().reloaded);
    const std::pair<std::string, std::string> probe{"x-seatrial-probe", "tryme"};
    EXPECT_EQ(get("/", {{"host", "api.example"}, probe}), "200 candidate");
    EXPECT_EQ(get("/shop", {{"host", "x"}, probe}), "200 candidate");
    site().stable.clear();
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/", {{"host", "api.example"}}).substr(0, 3), "503");
    site().stable = "a";
    site().routes.pop_back();
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/", {{"host", "api.example"}}).substr(0, 3), "404");
}

TEST_F(RoutingTest, AShareComesAndGoesWithoutAReloadAndOnlyThenNewcomersGetACookie) {
    const Origin stable("stable");
    const Origin fresh("fresh");
    put("a", stable, stable);
    put("b", fresh, fresh);
    site().stable = "a";
    start();
    const auto cookie = [&](const std::string& sent) {
        const auto answer = client.request(request("/", {{"cookie", sent}}), soon());
        return answer ? std::string(answer->header("set-cookie").value_or("none")).substr(0, 15)
                      : render_error(answer.error());
    };
    const std::string given = "seatrial_share=";
    EXPECT_EQ(cookie("x=y"), "none");
    EXPECT_EQ(get("/", {{"cookie", given + "0; uid=alice"}}), "200 stable");
    site().canary = Canary{"b", 0, {"alice"}};
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(cookie("x=y"), "none");
    EXPECT_EQ(get("/", {{"cookie", given + "0"}}), "200 stable");
    EXPECT_EQ(get("/", {{"cookie", given + "999; uid=alice"}}), "200 fresh");
    EXPECT_EQ(get("/", {{"cookie", "uid=alic"}}), "200 stable");
    site().canary->per_mille = 50;
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(cookie("x=y"), given);
    EXPECT_EQ(get("/", {{"cookie", given + "49"}}), "200 fresh");
    EXPECT_EQ(get("/", {{"cookie", given + "50"}}), "200 stable");
    EXPECT_EQ(cookie(given + "50"), "none");
    for (const std::string invalid : {"", "guess", "-1", "1000", "99999999999999999999"}) {
        EXPECT_EQ(cookie(given + invalid), given) << invalid;
    }
    site().canary->per_mille = 1000;
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/"), "200 fresh");
    EXPECT_EQ(get("/", {{"cookie", given + "guess"}}), "200 fresh");
    EXPECT_EQ(get("/", {{"cookie", given + "999"}}), "200 fresh");
    site().canary->per_mille = 0;
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(cookie("x=y"), "none");
    EXPECT_EQ(get("/", {{"cookie", given + "0"}}), "200 stable");
    EXPECT_EQ(get("/", {{"cookie", "uid=alice"}}), "200 fresh");
    site().canary.reset();
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(cookie("x=y"), "none");
    EXPECT_EQ(get("/", {{"cookie", "uid=alice"}}), "200 stable");
}

TEST_F(RoutingTest, ASlowProbeIsNotCountedAsSlow) {
    const Origin web("web");
    put("a", web, web);
    site().stable = "a";
    site().probes["a"] = Secret("tryme");
    start();
    EXPECT_EQ(get("/late", {{"x-seatrial-probe", "tryme"}}), "200 web");
    EXPECT_EQ(get("/fail", {{"x-seatrial-probe", "tryme"}}).substr(0, 3), "500");
    EXPECT_EQ(counts("a").slow, 0);
    EXPECT_EQ(counts("a").failed_by_app, 0);
    EXPECT_EQ(get("/late"), "200 web");
    EXPECT_EQ(counts("a").slow, 1);
    EXPECT_EQ(counts("a").window.slow, 1);
    EXPECT_EQ(counts("a").requests, 1);
}

TEST_F(RoutingTest, ACanaryIsStickyAndGoesInSmallSteps) {
    const Origin stable("stable");
    const Origin fresh("fresh");
    put("a", stable, stable);
    put("b", fresh, fresh);
    site().stable = "a";
    site().canary = Canary{"b", 300, {"alice"}};
    start();
    int hits = 0;
    for (int user = 0; user < 200; ++user) {
        const auto answer = client.request(request("/"), soon());
        ASSERT_TRUE(answer);
        const std::string cookie(answer->header("set-cookie").value_or(""));
        const std::string share = cookie.substr(0, cookie.find(';'));
        const std::string first = answer->body.substr(0, answer->body.find('|'));
        hits += first == "fresh" ? 1 : 0;
        EXPECT_EQ(get("/api", {{"cookie", share}}), "200 " + first) << "a user changes sides";
    }
    EXPECT_GT(hits, 30);
    EXPECT_LT(hits, 90);
    EXPECT_EQ(get("/", {{"cookie", "uid=alice"}}), "200 fresh");
    EXPECT_EQ(get("/", {{"cookie", "seatrial_share=300"}}), "200 stable");
    EXPECT_EQ(get("/", {{"cookie", "seatrial_share=299"}}), "200 fresh");
    site().canary->per_mille = 301;
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/", {{"cookie", "seatrial_share=300"}}), "200 fresh");
    site().canary.reset();
    apply();
    EXPECT_EQ(get("/", {{"cookie", "uid=alice; seatrial_share=0"}}), "200 stable");
}

TEST_F(RoutingTest, CountsFailuresOfTheAppAndOfTheEdgeAndSlowAnswers) {
    const Origin web("web");
    put("a", web, web);
    site().slots["a"]["api"] = {{"127.0.0.1", test::free_port()}};    // nobody there
    site().stable = "a";
    start();
    EXPECT_EQ(get("/late"), "200 web");
    EXPECT_EQ(get("/fail").substr(0, 3), "500");
    EXPECT_EQ(get("/api").substr(0, 3), "503");
    const Counts seen = counts("a");
    EXPECT_EQ(seen.requests, 3);
    EXPECT_EQ(seen.failed_by_app, 1);
    EXPECT_EQ(seen.failed_by_edge, 1);
    EXPECT_EQ(seen.slow, 1);
    EXPECT_EQ(seen.window.requests, 3);
    EXPECT_EQ(seen.window.failed_by_app, 1);
}

}    // namespace
}    // namespace seatrial::edge
