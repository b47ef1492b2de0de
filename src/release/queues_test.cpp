#include "release/queues.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace seatrial::release {
namespace {

TEST(Queues, WhatRunsIsANumberOrAMemberOfThatName) {
    EXPECT_EQ(parse_running("3"), 3);
    EXPECT_EQ(parse_running(" 0\n"), 0);
    EXPECT_EQ(parse_running(R"({"running": 12, "waiting": 99})"), 12);
    for (const char* bad : {"", "-1", "3 jobs", "3.5", "{}", "[3]", R"({"running": "3"})",
                            R"({"running": -2})", R"({"running": 1e99})", "99999999999", "none"}) {
        const auto count = parse_running(bad);
        ASSERT_FALSE(count) << bad;
        EXPECT_EQ(count.error().code, Code::failed);
        EXPECT_FALSE(count.error().hint.empty());
    }
    EXPECT_FALSE(parse_running(std::string(100'000, '[')));
}

TEST(Queues, AreReadAsTheyWereWritten) {
    config::ReleaseQueue rq;
    rq.kind = config::ReleaseQueue::Kind::rq;
    rq.name = "convert";
    rq.component = "worker";
    rq.url = "REDIS_URL";
    rq.queues = {"a", "b"};
    rq.timeout = std::chrono::seconds(7);
    rq.stop = false;
    config::ReleaseQueue custom;
    custom.name = "mail";
    custom.pause.path = "/pause";
    custom.resume.argv = {"bin/jobs", "resume"};
    custom.running.path = "/running";
    for (const auto& queue : {rq, custom}) {
        EXPECT_EQ(queue_of(to_json(queue)), queue);
    }
    const config::ReleaseCache cache{"api", "REDIS_URL", {"job:"}};
    EXPECT_EQ(cache_of(to_json(cache)), cache);
}

}    // namespace
}    // namespace seatrial::release
