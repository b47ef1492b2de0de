#include "api/build_logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace seatrial::http {
// The connection's end of a stream.
struct EventStreamProbe {
    static std::string take(EventStream& stream) { return stream.take(); }
};
}    // namespace seatrial::http

namespace seatrial::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* id = "01JD5Z0V3W4Q8M2T7R6Y9X1KCB";

class BuildLogsTest : public ::testing::Test {
protected:
    std::shared_ptr<http::EventStream> follow(long after = 0, const char* of = id) {
        auto stream = std::make_shared<http::EventStream>(1 << 20);
        const Status followed = logs_.follow(stream, of, after);
        EXPECT_TRUE(followed);
        return stream;
    }
    static std::string seen(http::EventStream& stream) {
        return http::EventStreamProbe::take(stream);
    }
    test::TempDir dir_;
    BuildLogs logs_{dir_.path()};
};

TEST_F(BuildLogsTest, AFollowerGetsAllOnceWheneverItComes) {
    const auto early = follow();
    ASSERT_TRUE(logs_.start(id));
    logs_.refuse(id);
    logs_.add(id, "web", "one");
    const auto late = follow();
    logs_.add(id, "api", "two");
    const auto again = follow(1);
    EXPECT_FALSE(early->closed());
    logs_.end(id);
    const auto after = follow();
    const std::string all =
        "event: line\nid: 1\ndata: {\"component\":\"web\",\"text\":\"one\"}\n\n"
        "event: line\nid: 2\ndata: {\"component\":\"api\",\"text\":\"two\"}\n\n";
    for (const auto& stream : {early, late, after}) {
        const std::string text = seen(*stream);
        EXPECT_TRUE(text.starts_with(all)) << text;
        EXPECT_THAT(text, HasSubstr("event: end"));
        EXPECT_TRUE(stream->closed());
    }
    EXPECT_THAT(seen(*again), Not(HasSubstr("\"one\"")));
    EXPECT_EQ(logs_.read(id), "web | one\napi | two\n");
}

TEST_F(BuildLogsTest, ABuildThatNeverStartedEndsForItsFollowers) {
    const auto stream = follow();
    logs_.refuse(id);
    EXPECT_THAT(seen(*stream), HasSubstr("event: end"));
    EXPECT_TRUE(follow()->closed());
    EXPECT_EQ(logs_.read(id).error().code, Code::not_found);
}

TEST_F(BuildLogsTest, AnIdIsForOneBuild) {
    ASSERT_TRUE(logs_.start(id));
    EXPECT_EQ(logs_.start(id).error().code, Code::conflict);
    logs_.add(id, "web", "one");
    logs_.end(id);
    EXPECT_EQ(logs_.start(id).error().code, Code::conflict);
    EXPECT_EQ(BuildLogs(dir_.path()).start(id).error().code, Code::conflict) << "its log is there";
    for (const char* bad : {"", "../../../../../etc/passwd", "01jd5z0v3w4q8m2t7r6y9x1kcb"}) {
        EXPECT_EQ(logs_.start(bad).error().code, Code::invalid);
        EXPECT_EQ(logs_.read(bad).error().code, Code::not_found);
        EXPECT_FALSE(logs_.follow(std::make_shared<http::EventStream>(9), bad, 0));
    }
}

TEST_F(BuildLogsTest, ALogIsBoundedAndGoes) {
    ASSERT_TRUE(logs_.start(id));
    for (int i = 0; i < 5000; ++i) {
        logs_.add(id, "web", std::string(1000, 'x'));
    }
    logs_.end(id);
    const auto text = logs_.read(id);
    ASSERT_TRUE(text);
    EXPECT_LT(text->size(), std::size_t{4100} << 10);
    EXPECT_TRUE(text->ends_with("seatrial | more was said than is kept\n"));
    logs_.drop_older_than(std::chrono::hours(1));
    EXPECT_TRUE(logs_.read(id));
    logs_.drop_older_than(std::chrono::hours(-1));
    EXPECT_FALSE(logs_.read(id));
}

}    // namespace
}    // namespace seatrial::api
