// The end of a server, and its quiet.
#include <latch>

#include "http/server_fixture.h"

namespace seatrial::http {
namespace {

using std::chrono::milliseconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class ServerStopTest : public ServerFixture {};

TEST_F(ServerStopTest, StopLetsTheRunningHandlerAnswer) {
    std::latch begun(1);
    std::latch go(1);
    start({{"GET",
            "/",
            RouteKind::normal,
            [&](const Request&, const Context& ctx) {
                begun.count_down();
                go.wait();
                EXPECT_FALSE(ctx.cancelled());
                return Response{200, {}, "last words"};
            },
            {}}});
    auto busy = client();
    auto idle = client();
    auto half = client();
    half.send("GET / HT");
    busy.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    begun.wait();
    std::thread stopper([this] { EXPECT_TRUE(server_->stop(Context())); });
    EXPECT_EQ(idle.read_all(), "");
    EXPECT_EQ(half.read_all(), "");
    EXPECT_FALSE(client().connected());
    go.count_down();
    const auto answer = busy.read_all();
    EXPECT_THAT(answer, EndsWith("last words"));
    EXPECT_THAT(answer, HasSubstr("connection: close\r\n"));
    stopper.join();
    EXPECT_EQ(server_->stats().connections, 0u);
    EXPECT_EQ(server_->stats().threads, 0u);
    EXPECT_TRUE(server_->stop(Context()));
}

TEST_F(ServerStopTest, StopWithoutPatienceCancelsTheHandler) {
    std::latch begun(1);
    start({{"GET",
            "/",
            RouteKind::normal,
            [&](const Request&, const Context& ctx) {
                begun.count_down();
                [[maybe_unused]] const auto waited = wait_fd(-1, 0, ctx);
                return Response{200, {}, "too late"};
            },
            {}}});
    auto client = this->client();
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    begun.wait();
    const auto stopped = server_->stop(Context().with_timeout(milliseconds(20)));
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, Code::timed_out);
    EXPECT_EQ(client.read_all(), "");
}

std::uint64_t switches_of_io_thread() {
    std::uint64_t switches = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        const auto status = read_file(task.path() / "status", 1 << 16).value_or("");
        if (status.find("\thttp-io\n") != std::string::npos) {
            const auto at = status.find("voluntary_ctxt_switches:");
            switches += std::stoull(status.substr(at + 24));
        }
    }
    return switches;
}

TEST_F(ServerStopTest, NothingWakesAnIdleServer) {
    options_.thread_idle = milliseconds(1);
    start({{"GET",
            "/echo",
            RouteKind::normal,
            [](const Request&, const Context&) { return Response{200, {}, "GET:"}; },
            {}}});
    EXPECT_THAT(client().get("/echo"), EndsWith("GET:"));
    ASSERT_TRUE(becomes(
        [this] { return server_->stats().connections == 0 && server_->stats().threads == 0; }));
    ASSERT_TRUE(becomes([] { return switches_of_io_thread() > 0; }));
    // A quiet stretch can only be measured by waiting for it.
    std::this_thread::sleep_for(milliseconds(50));
    const auto before = switches_of_io_thread();
    std::this_thread::sleep_for(milliseconds(400));
    EXPECT_EQ(switches_of_io_thread(), before);
}

}    // namespace
}    // namespace seatrial::http
