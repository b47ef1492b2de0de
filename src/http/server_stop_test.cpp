// The end of a server, and its quiet.
#include <latch>
#include <sstream>

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

bool io_thread_sleeps() {
    bool found = false;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        const auto status = read_file(task.path() / "status", 1 << 16).value_or("");
        if (status.find("\thttp-io\n") != std::string::npos) {
            found = true;
            if (status.find("State:\tS") == std::string::npos) {
                return false;
            }
        }
    }
    return found;
}

// Of all timer descriptors of this process: seconds until the next one is due; -1 for never. The
// I/O thread waits for its descriptors only, so nothing else could wake it.
long next_timer() {
    long next = -1;
    std::error_code error;
    for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
        if (std::filesystem::read_symlink(fd.path(), error) != "anon_inode:[timerfd]") {
            continue;
        }
        const auto info =
            read_file("/proc/self/fdinfo/" + fd.path().filename().string(), 4096).value_or("");
        const auto at = info.find("it_value: (");
        if (at == std::string::npos) {
            ADD_FAILURE() << "fdinfo of a timer has another form: " << info;
            return 0;
        }
        long seconds = 0;
        long rest = 0;
        std::istringstream(info.substr(at + 11)) >> seconds;
        std::istringstream(info.substr(info.find(',', at) + 1)) >> rest;
        if ((seconds != 0 || rest != 0) && (next < 0 || seconds < next)) {
            next = seconds;
        }
    }
    return next;
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
    // Asio keeps its timer at some minutes when nobody waits for one.
    EXPECT_TRUE(becomes([] {
        const long due = next_timer();
        return io_thread_sleeps() && (due < 0 || due > 60);
    })) << next_timer();
}

}    // namespace
}    // namespace seatrial::http
