#include "http/server.h"

#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <stdexcept>

#include "http/server_fixture.h"

namespace seatrial::http {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Response echo(const Request& request, const Context&) {
    return {200, {{"x-path", request.path}}, request.method + ":" + request.body};
}

class ServerTest : public ServerFixture {
protected:
    void start_echo() {
        start({{"GET", "/echo", RouteKind::normal, echo, {}},
               {"GET", "/echo/{id}", RouteKind::normal, echo, {}},
               {"POST", "/echo", RouteKind::normal, echo, {}, 1000}});
    }
};

TEST_F(ServerTest, ServesManyRequestsOnOneConnection) {
    start_echo();
    auto client = this->client();
    for (int i = 0; i < 3; ++i) {
        const auto answer = client.get("/echo/a%20b");
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
        EXPECT_THAT(answer, HasSubstr("x-path: /echo/a b\r\n"));
        EXPECT_THAT(answer, EndsWith("\r\n\r\nGET:"));
    }
    EXPECT_THAT(client.call("POST", "/echo", "hello"), EndsWith("\r\n\r\nPOST:hello"));
    EXPECT_THAT(TestClient(port_).get("/echo"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
    start_echo();
    auto client = this->client();
    std::string all;
    for (int i = 0; i < 20; ++i) {
        const std::string body = "n" + std::to_string(i);
        all += "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    }
    client.send(all);
    for (int i = 0; i < 20; ++i) {
        EXPECT_THAT(client.read_answer(), EndsWith("POST:n" + std::to_string(i)));
    }
}

TEST_F(ServerTest, CloseAndOldVersionsEndTheConnection) {
    start_echo();
    auto one = client();
    one.send("GET /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    EXPECT_THAT(one.read_all(), HasSubstr("connection: close\r\n"));
    auto other = client();
    other.send("GET /echo HTTP/1.0\r\n\r\n");
    EXPECT_THAT(other.read_all(), EndsWith("GET:"));
}

TEST_F(ServerTest, HeadHasTheLengthButNoBody) {
    start_echo();
    auto client = this->client();
    EXPECT_THAT(client.call("HEAD", "/echo"), EndsWith("\r\n\r\n"));
    EXPECT_THAT(client.get("/echo"), EndsWith("GET:"));
}

TEST_F(ServerTest, RefusalsAreProblemDocuments) {
    start_echo();
    auto client = this->client();
    const auto missing = client.get("/none");
    EXPECT_THAT(missing, StartsWith("HTTP/1.1 404 Not Found\r\n"));
    EXPECT_THAT(missing, HasSubstr("content-type: application/problem+json\r\n"));
    EXPECT_THAT(missing, HasSubstr("\"code\":\"not_found\""));
    auto other = this->client();
    const auto method = other.call("DELETE", "/echo");
    EXPECT_THAT(method, StartsWith("HTTP/1.1 405 "));
    EXPECT_THAT(method, HasSubstr("allow: GET, POST\r\n"));
}

TEST_F(ServerTest, BadRequestsAreAnsweredAndTheConnectionEnds) {
    start_echo();
    const std::string big(20'000, 'h');
    const std::pair<std::string, std::string> cases[] = {
        {"hello\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /echo HTTP/1.1\r\nbad header\r\n\r\n", "HTTP/1.1 400 "},
        {"GET /echo HTTP/1.1\r\nx: " + big + "\r\n\r\n", "HTTP/1.1 431 "},
        {"GET /" + big + " HTTP/1.1\r\n\r\n", "HTTP/1.1 431 "},
        {"POST /echo HTTP/1.1\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 400 "},
        {"POST /echo HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
         "HTTP/1.1 400 "},
        {"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 "},
        {"POST /echo HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
         "HTTP/1.1 400 "},
        {"POST /echo HTTP/1.1\r\ncontent-length: 1001\r\n\r\n", "HTTP/1.1 413 "},
    };
    for (const auto& [text, expected] : cases) {
        auto client = this->client();
        client.send(text);
        EXPECT_THAT(client.read_all(), StartsWith(expected)) << text.substr(0, 80);
    }
}

TEST_F(ServerTest, AClientThatSendsOnStillGetsItsRefusal) {
    start_echo();
    auto client = this->client();
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n");
    client.send(std::string(2'000'000, 'x'));
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, ChunkedBodiesHaveTheSameLimit) {
    start_echo();
    auto client = this->client();
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n");
    EXPECT_THAT(client.read_answer(), EndsWith("POST:abcde"));
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 11; ++i) {
        client.send("64\r\n" + std::string(100, 'x') + "\r\n");
    }
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, BodyOfExactlyTheLimitPasses) {
    start_echo();
    EXPECT_THAT(client().call("POST", "/echo", std::string(1000, 'x')),
                EndsWith(":" + std::string(1000, 'x')));
}

TEST_F(ServerTest, ALargeBodyArrivesWhole) {
    start({{"POST", "/", RouteKind::normal, echo, {}, 8 << 20}});
    std::string body;
    for (int i = 0; body.size() < 5'000'000; ++i) {
        body += std::to_string(i);
    }
    EXPECT_THAT(client().call("POST", "/", body), EndsWith("POST:" + body));
}

TEST_F(ServerTest, ContinueIsSaidBeforeTheBodyUnlessRefused) {
    start_echo();
    auto client = this->client();
    client.send("POST /echo HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    EXPECT_THAT(client.read_answer(), EndsWith("POST:ok"));
    auto other = this->client();
    other.send("POST /echo HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 9999\r\n\r\n");
    EXPECT_THAT(other.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, PeerIsWhoTheKernelSays) {
    start({{"GET",
            "/",
            RouteKind::normal,
            [](const Request& request, const Context&) {
                const Peer& peer = request.peer;
                return Response{200,
                                {},
                                peer.address + " " + std::to_string(peer.local) + " " +
                                    std::to_string(peer.uid) + " " + std::to_string(peer.pid)};
            },
            {}}});
    EXPECT_THAT(client().get("/"), EndsWith("unix 1 " + std::to_string(::getuid()) + " " +
                                            std::to_string(::getpid())));
    EXPECT_THAT(TestClient(port_).get("/"),
                AllOf(HasSubstr("\r\n\r\n127.0.0.1:"), HasSubstr(" 0 4294967295 0")));
}

TEST_F(ServerTest, GuardSpeaksBeforeTheBodyIsRead) {
    Router router({{"POST", "/", RouteKind::upload, echo, {}}});
    router.set_guard([](const Request& request) -> std::optional<Response> {
        if (request.header("authorization") != "yes") {
            return problem(401, "refused", "who are you");
        }
        return std::nullopt;
    });
    start(std::move(router));
    auto client = this->client();
    client.send("POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n");
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 401 "));
    auto other = this->client();
    other.send("POST / HTTP/1.1\r\nauthorization: yes\r\ncontent-length: 2\r\n\r\nab");
    EXPECT_THAT(other.read_answer(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, SlowClientsAreToldAndLeft) {
    options_.header_timeout = milliseconds(50);
    options_.body_timeout = milliseconds(50);
    options_.idle_timeout = milliseconds(50);
    start_echo();
    auto silent = client();
    EXPECT_EQ(silent.read_all(), "");
    auto header = client();
    header.send("GET /echo HTTP/1.1\r\nho");
    EXPECT_THAT(header.read_all(), StartsWith("HTTP/1.1 408 "));
    auto body = client();
    body.send("POST /echo HTTP/1.1\r\ncontent-length: 5\r\n\r\nab");
    EXPECT_THAT(body.read_all(), StartsWith("HTTP/1.1 408 "));
    auto kept = client();
    EXPECT_THAT(kept.get("/echo"), EndsWith("GET:"));
    EXPECT_EQ(kept.read_all(), "");
    header.close();
    body.close();
    EXPECT_TRUE(becomes([this] { return server_->stats().connections == 0; }));
}

TEST_F(ServerTest, AThrowingHandlerIs500AndReported) {
    start({{"GET",
            "/",
            RouteKind::normal,
            [](const Request&, const Context&) -> Response {
                throw std::runtime_error("secret detail");
            },
            {}}});
    const auto answer = client().get("/");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
    EXPECT_THAT(answer, Not(HasSubstr("secret detail")));
    ASSERT_EQ(reports().size(), 1u);
    EXPECT_EQ(reports()[0], "handler of /: secret detail");
}

TEST_F(ServerTest, FullPoolIs503WithRetryAfter) {
    options_.threads = 2;
    options_.waiting = 1;
    std::latch go(1);
    start({{"GET",
            "/",
            RouteKind::normal,
            [&go](const Request&, const Context&) {
                go.wait();
                return Response{200, {}, "done"};
            },
            {}}});
    std::vector<TestClient> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(client());
        clients.back().send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    // Those beyond threads and queue are refused while the others still wait.
    int refused = 0;
    EXPECT_TRUE(becomes([&] {
        refused = 0;
        for (const auto& client : clients) {
            pollfd one{client.fd(), POLLIN, 0};
            refused += ::poll(&one, 1, 0) == 1;
        }
        return refused == 5;
    }));
    go.count_down();
    int done = 0;
    for (auto& client : clients) {
        const auto answer = client.read_answer();
        if (answer.starts_with("HTTP/1.1 503 ")) {
            EXPECT_THAT(answer, HasSubstr("retry-after: 1\r\n"));
        } else {
            EXPECT_THAT(answer, EndsWith("done"));
            ++done;
        }
    }
    EXPECT_EQ(done, 8 - refused);
}

TEST_F(ServerTest, AClientThatLeavesCancelsItsHandler) {
    std::latch begun(2);
    std::latch ended(2);
    start({{"GET",
            "/",
            RouteKind::normal,
            [&](const Request&, const Context& ctx) {
                begun.count_down();
                [[maybe_unused]] const auto waited = wait_fd(-1, 0, ctx);
                EXPECT_TRUE(ctx.cancelled());
                ended.count_down();
                return Response{};
            },
            {}}});
    auto local = client();
    TestClient tcp(port_);
    local.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    tcp.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    begun.wait();
    local.close();
    tcp.close();
    ended.wait();
    EXPECT_TRUE(becomes([this] { return server_->stats().connections == 0; }));
}

TEST_F(ServerTest, MoreConnectionsThanAllowedAreTold) {
    options_.max_connections = 3;
    start_echo();
    std::vector<TestClient> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(client());
        EXPECT_THAT(clients.back().get("/echo"), EndsWith("GET:"));
    }
    EXPECT_THAT(client().read_all(), StartsWith("HTTP/1.1 503 "));
    clients.pop_back();
    EXPECT_TRUE(becomes([this] { return server_->stats().connections == 2; }));
    EXPECT_THAT(client().get("/echo"), EndsWith("GET:"));
}

TEST_F(ServerTest, SurvivesWhenDescriptorsRunOut) {
    start_echo();
    EXPECT_THAT(client().get("/echo"), EndsWith("GET:"));
    EXPECT_TRUE(becomes([this] { return server_->stats().connections == 0; }));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = ::dup(0);
    ::close(next);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next) + 1;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    auto client = this->client();    // takes the last descriptor
    const bool reported = becomes([this] { return !reports().empty(); });
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(client.connected());
    EXPECT_TRUE(reported);
    EXPECT_THAT(client.get("/echo"), EndsWith("GET:"));
}

TEST_F(ServerTest, ManyClientsAtOnceAreAllServed) {
    start_echo();
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([this, &right] {
            for (int j = 0; j < 10; ++j) {
                auto client = this->client();
                for (int k = 0; k < 5; ++k) {
                    const auto answer = client.call("POST", "/echo", "abc");
                    right += answer.ends_with("POST:abc");
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(right, 800);
}

}    // namespace
}    // namespace seatrial::http
