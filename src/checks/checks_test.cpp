#include "checks/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "checks/form.h"
#include "net/test_server.h"

namespace seatrial::checks {
namespace {

using config::ReleaseCheck;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Kind = ReleaseCheck::Kind;

Context soon() {
    return Context().with_timeout(std::chrono::seconds(30));
}

std::string answer(int status, const std::string& type, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Type: " + type +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
           body;
}

// An app with jobs: done when it is asked for the second time.
class App {
public:
    std::string url() const {
        const std::string url = server_.url("/");
        return url.substr(0, url.size() - 1);
    }
    std::atomic<bool> probed = true;
    std::string sent;    // the last post, whole

private:
    void serve(int fd, const Context& ctx) {
        const std::string head = net::TestServer::read_until(fd, "\r\n\r\n", ctx);
        probed = probed && head.find("x-probe: 1") != std::string::npos;
        if (const auto at = head.find("ontent-Length: "); at != std::string::npos) {
            std::string body(std::stoul(head.substr(at + 15)), '\0');
            for (char& byte : body) {
                ::recv(fd, &byte, 1, 0);
            }
            sent = head + body;
        }
        const auto is = [&](const char* start) { return head.starts_with(start); };
        std::string out = answer(404, "text/plain", "no");
        if (is("GET /readyz ")) {
            out = answer(200, "text/plain", "all is ready, hunter2");
        } else if (is("POST /jobs ")) {
            ++jobs_;
            out = answer(202, "application/json", R"({"id": "a b/1", "n": 7})");
        } else if (is("GET /jobs/a%20b%2F1 ")) {
            out =
                answer(200, "application/json",
                       ++asked_ < 2 ? R"({"status": "running"})" : R"({"status": "done", "n": 1})");
        } else if (is("GET /jobs/stuck ")) {
            out = answer(200, "application/json", R"({"status": "running"})");
        } else if (is("GET /jobs/deep ")) {
            out = answer(
                200, "application/json",
                R"({"status": )" + std::string(200'000, '[') + std::string(200'000, ']') + "}");
        } else if (is("GET /metrics ")) {
            out = answer(200, "text/plain", "jobs_total{a=\"}\"} " + std::to_string(jobs_) + "\n");
        } else if (is("GET /a.pdf ")) {
            out = answer(200, "application/pdf; x=1", "%PDF-1.7");
        } else if (is("GET /jobs/a%20b%2F1/file ")) {
            out = answer(200, "application/pdf", "%PDF-1.7");
        } else if (is("GET /events ")) {
            out = "HTTP/1.1 200 x\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n";
        } else if (is("GET /silent ")) {
            net::TestServer::send(fd, "HTTP/1.1 200 x\r\nContent-Type: text/event-stream\r\n\r\n");
            (void)wait_for(std::chrono::seconds(20), ctx);
            return;
        }
        net::TestServer::send(fd, out);
    }
    std::atomic<int> jobs_ = 0;
    std::atomic<int> asked_ = 0;
    net::TestServer server_{AF_INET, [this](int fd, int, const Context& ctx) { serve(fd, ctx); }};
};

ReleaseCheck check(Kind kind, const std::string& path) {
    ReleaseCheck out;
    out.kind = kind;
    out.path = path;
    out.within = std::chrono::milliseconds(5000);
    return out;
}

std::string told(const ReleaseCheck& one, const App& app) {
    const auto outcomes = run({one}, {app.url(), {{"x-probe", "1"}}}, soon());
    return outcomes ? render_failures(*outcomes) : "an error";
}

TEST(Checks, EveryKindPasses) {
    App app;
    std::vector<ReleaseCheck> checks;
    checks.push_back(check(Kind::metric, "/metrics"));
    checks.back().metric = "jobs_total";
    checks.push_back(check(Kind::get, "/readyz"));
    checks.back().contains = "ready";
    checks.push_back(check(Kind::job, "/jobs"));
    checks.back().body = "{}";
    checks.back().type = "application/json";
    checks.back().poll = "/jobs/{id}";
    checks.back().until = {{"status", "done"}, {"n", "1"}};
    checks.push_back(check(Kind::sse, "/events"));
    checks.push_back(check(Kind::download, "/a.pdf"));
    checks.back().type = "application/pdf";
    checks.back().min_bytes = 8;
    const auto outcomes = run(checks, {app.url(), {{"x-probe", "1"}}}, soon());
    ASSERT_TRUE(outcomes);
    EXPECT_EQ(render_failures(*outcomes), "");
    EXPECT_EQ(outcomes->size(), 5U);
    EXPECT_TRUE(app.probed);
}

TEST(Checks, AFailureSaysWhatWasSeenAndNoContent) {
    App app;
    auto one = check(Kind::get, "/readyz");
    one.contains = "steady";
    EXPECT_THAT(told(one, app),
                AllOf(HasSubstr("GET /readyz answered 200 without the text 'steady'"),
                      Not(HasSubstr("hunter2"))));
    one = check(Kind::get, "/readyz");
    one.status = 204;
    EXPECT_EQ(told(one, app), "GET /readyz answered 200");
    EXPECT_EQ(told(check(Kind::get, "/none"), app), "GET /none answered 404");
    one = check(Kind::job, "/jobs");
    one.poll = "/jobs/stuck";
    one.until = {{"status", "done"}, {"more", "x"}};
    one.within = std::chrono::milliseconds(600);
    EXPECT_EQ(told(one, app),
              "job POST /jobs was not done within 600 ms: the job answered 200, more "
              "is no text, status=running");
    one.poll = "/jobs/deep";
    EXPECT_THAT(told(one, app), HasSubstr("status is no text"));
    one.poll = "/jobs/{uuid}";
    EXPECT_EQ(told(one, app), "job POST /jobs answered 202 without what /jobs/{uuid} names");
    one = check(Kind::sse, "/silent");
    one.within = std::chrono::milliseconds(300);
    EXPECT_EQ(told(one, app), "event stream /silent sent no event within 300 ms");
    EXPECT_EQ(told(check(Kind::sse, "/readyz"), app),
              "event stream /readyz answered 200 and sent no event");
    one = check(Kind::download, "/a.pdf");
    one.type = "image/png";
    EXPECT_THAT(told(one, app), HasSubstr("came as 'application/pdf; x=1', not image/png"));
    one.type.clear();
    one.min_bytes = 9;
    EXPECT_THAT(told(one, app), HasSubstr("has 8 bytes, fewer than 9"));
    one = check(Kind::metric, "/metrics");
    one.metric = "jobs_total";
    one.within = std::chrono::milliseconds(300);
    EXPECT_THAT(told(one, app), HasSubstr("jobs_total grew by 0"));
    one.path = "/none";
    EXPECT_THAT(told(one, app), HasSubstr("could not be read"));
}

TEST(Checks, AllAreDoneAndOnlyTheContextEndsThem) {
    App app;
    const auto outcomes = run(
        {check(Kind::get, "/none"), check(Kind::get, "/readyz"), check(Kind::get, "/also-none")},
        {app.url(), {}}, soon());
    ASSERT_TRUE(outcomes);
    EXPECT_EQ(render_failures(*outcomes), "GET /none answered 404\nGET /also-none answered 404");
    CancelSource stop;
    stop.cancel();
    EXPECT_EQ(run({check(Kind::get, "/readyz")}, {app.url(), {}}, stop.context()).error().code,
              Code::cancelled);
}

TEST(MetricSum, AddsTheSamplesOfOneName) {
    const std::string text =
        "# HELP jobs_total 9\n# TYPE jobs_total counter\n"
        "jobs_total{kind=\"a } \\\" b\",x=\"y\"} 2 1395066363000\njobs_total{kind=\"c\"} 1e1\r\n"
        "jobs_total_created 100\n  other 5\nnan NaN\n";
    EXPECT_EQ(metric_sum(text, "jobs_total"), 12);
    EXPECT_EQ(metric_sum(text, "other"), 5);
    EXPECT_EQ(metric_sum(text, "nan"), std::nullopt);
    EXPECT_EQ(metric_sum(text, "absent"), std::nullopt);
    EXPECT_EQ(metric_sum("a{b=\"\\", "a"), std::nullopt);
    EXPECT_EQ(metric_sum(text, ""), std::nullopt);
}

TEST(FillPath, TakesPlainMembersOnly) {
    const json members = {{"id", "x/../y"}, {"n", 7}, {"o", json::object()}};
    EXPECT_EQ(fill_path("/jobs/{id}/{n}", members), "/jobs/x%2F..%2Fy/7");
    EXPECT_EQ(fill_path("/jobs", json()), "/jobs");
    EXPECT_EQ(fill_path("/jobs/{id", members), "/jobs/{id");
    EXPECT_EQ(fill_path("/jobs/{o}", members), std::nullopt);
    EXPECT_EQ(fill_path("/jobs/{absent}", members), std::nullopt);
    EXPECT_EQ(fill_path("/jobs/{id}", json::array()), std::nullopt);
}

TEST(Checks, AJobGetsItsFileAsTheBodyOrAsAFieldOfAForm) {
    App app;
    auto job = check(Kind::job, "/jobs");
    job.poll = "/jobs/{id}";
    job.until = {{"status", "done"}};
    job.file = "samples/deck.pptx";
    job.type = "application/x-deck";
    job.body = std::string("PK\0\xff\r\n", 6);
    EXPECT_EQ(told(job, app), "");
    EXPECT_THAT(app.sent, HasSubstr("content-type: application/x-deck\r\n"));
    EXPECT_TRUE(app.sent.ends_with("\r\n\r\n" + job.body));
    job.field = "file";
    EXPECT_EQ(told(job, app), "");
    EXPECT_THAT(app.sent,
                HasSubstr("content-type: multipart/form-data; boundary=seatrial-form\r\n"));
    EXPECT_THAT(app.sent, HasSubstr("\r\n\r\n--seatrial-form\r\nContent-Disposition: form-data; "
                                    "name=\"file\"; filename=\"deck.pptx\"\r\n"
                                    "Content-Type: application/x-deck\r\n\r\n" +
                                    job.body + "\r\n--seatrial-form--\r\n"));
}

TEST(Checks, PathsNameWhatTheJobBeforeWasAnsweredWith) {
    App app;
    auto job = check(Kind::job, "/jobs");
    job.poll = "/jobs/{id}";
    job.until = {{"status", "done"}};
    auto file = check(Kind::download, "/jobs/{id}/file");
    const auto good = run({job, file}, {app.url(), {{"x-probe", "1"}}}, soon());
    ASSERT_TRUE(good);
    EXPECT_EQ(render_failures(*good), "");
    EXPECT_EQ(good->at(1).check, "download /jobs/{id}/file");
    job.path = "/none";
    const auto bad = run({job, file}, {app.url(), {}}, soon());
    ASSERT_TRUE(bad);
    EXPECT_FALSE(bad->at(0).good);
    EXPECT_EQ(bad->at(1).seen, "names what no job before it was answered with");
}

TEST(Forms, NothingInThemEndsThemEarly) {
    const auto form = make_form("a\"b\r\nc", "x\"y", "text/plain", "seatrial-form seatrial-form-1");
    EXPECT_EQ(form.type, "multipart/form-data; boundary=seatrial-form-2");
    EXPECT_THAT(form.body, HasSubstr("name=\"a%22b%0D%0Ac\"; filename=\"x%22y\"\r\n"));
}

TEST(ChecksAsJson, ComeBackAsTheyWere) {
    auto one = check(Kind::job, "/jobs");
    one.until = {{"status", "done"}};
    one.metric = "m";
    one.min_bytes = 7;
    one.file = "a/b";
    one.field = "file";
    one.body = std::string("\0\xff\"", 3);
    EXPECT_EQ(checks_of(to_json({one, ReleaseCheck()})), (std::vector{one, ReleaseCheck()}));
    ReleaseCheck old;
    old.path = "/a";
    EXPECT_EQ(checks_of(json::array({"/a"})), std::vector{old});
}

}    // namespace
}    // namespace seatrial::checks
