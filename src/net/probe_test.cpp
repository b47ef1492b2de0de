#include "net/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/test_server.h"

namespace seatrial::net {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

const Context soon() {
    return Context().with_timeout(std::chrono::seconds(20));
}

TestServer::Script says(const std::string& text) {
    return [text](int fd, int, const Context& ctx) {
        TestServer::read_until(fd, "\r\n\r\n", ctx);
        TestServer::send(fd, text);
    };
}

// A port that nobody listens on, as far as one can know.
std::uint16_t free_port() {
    return TestServer(AF_INET, [](int, int, const Context&) {}).port();
}

TEST(Probe, ReadsTheStatus) {
    for (const int family : {AF_INET, AF_INET6}) {
        std::string seen;
        std::uint16_t port = 0;
        {
            TestServer server(family, [&seen](int fd, int, const Context& ctx) {
                seen = TestServer::read_until(fd, "\r\n\r\n", ctx);
                TestServer::send(fd, TestServer::answer("body", "503 Busy"));
            });
            port = server.port();
            EXPECT_EQ(http_get_status(port, "/healthz?x=1", soon()).value_or(-1), 503);
        }
        EXPECT_TRUE(seen.starts_with(
            "GET /healthz?x=1 HTTP/1.1\r\nhost: localhost:" + std::to_string(port) + "\r\n"))
            << seen;
    }
}

TEST(Probe, ForeignAnswers) {
    const std::pair<std::string, int> good[] = {
        {"HTTP/1.0 200 OK\r\n\r\n", 200},
        {"HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n", 302},
        {"HTTP/1.1 204\r\n\r\n", 204},
        {"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200},
        {"HTTP/1.1 101 Switching\r\n\r\n", 101},
    };
    for (const auto& [text, status] : good) {
        const TestServer server(AF_INET, says(text));
        EXPECT_EQ(http_get_status(server.port(), "/", soon()).value_or(-1), status) << text;
    }
    const std::pair<std::string, Code> bad[] = {
        {"SSH-2.0-OpenSSH\r\n", Code::failed},
        {"HTTP/1.1 xyz\r\n", Code::failed},
        {"HTTP/1.1 099 x\r\n", Code::failed},
        {"HTTP/2.0 200 OK\r\n", Code::failed},
        {"", Code::unavailable},
        {"HTTP/1.1 20", Code::unavailable},
        {std::string(50'000, 'H'), Code::failed},
        {"HTTP/1.1 100 C\r\n" + std::string(50'000, 'x'), Code::failed},
    };
    for (const auto& [text, code] : bad) {
        const TestServer server(AF_INET, says(text));
        const auto status = http_get_status(server.port(), "/", soon());
        ASSERT_FALSE(status) << text.substr(0, 50);
        EXPECT_EQ(status.error().code, code) << text.substr(0, 50);
    }
}

TEST(Probe, NothingListens) {
    const auto port = free_port();
    EXPECT_EQ(http_get_status(port, "/", soon()).error().code, Code::unavailable);
    EXPECT_EQ(tcp_accepts(port, soon()).error().code, Code::unavailable);
    const TestServer server(AF_INET6, [](int, int, const Context&) {});
    EXPECT_TRUE(tcp_accepts(server.port(), soon()));
}

TEST(Probe, DeadlineAndCancellationEndIt) {
    const TestServer silent(AF_INET, [](int, int, const Context& ctx) {
        [[maybe_unused]] const auto waited = wait_fd(-1, 0, ctx);
    });
    const auto late = http_get_status(silent.port(), "/", Context().with_timeout(milliseconds(20)));
    EXPECT_EQ(late.error().code, Code::timed_out);
    CancelSource cancel;
    std::thread canceller([&cancel] { cancel.cancel(); });
    EXPECT_EQ(http_get_status(silent.port(), "/", cancel.context()).error().code, Code::cancelled);
    canceller.join();
}

TEST(Probe, AnEndlessBodyDoesNotHoldIt) {
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        TestServer::read_until(fd, "\r\n\r\n", ctx);
        TestServer::send(fd, "HTTP/1.1 200 OK\r\n\r\n");
        [[maybe_unused]] const auto waited = wait_fd(-1, 0, ctx);
    });
    EXPECT_EQ(http_get_status(server.port(), "/", soon()).value_or(-1), 200);
}

TEST(Probe, APathCannotCarryAnotherRequest) {
    for (const std::string path : {"", "x", "/a b", "/a\r\nx: y", "/\x7f"}) {
        EXPECT_EQ(http_get_status(1, path, soon()).error().code, Code::invalid) << path;
    }
}

}    // namespace
}    // namespace seatrial::net
