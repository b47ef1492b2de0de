#include "net/client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <fstream>

#include "net/test_server.h"

namespace seatrial::net {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Context soon() {
    return Context().with_timeout(std::chrono::seconds(20));
}

class ClientTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string made = "/tmp/st-net-XXXXXX";
        ASSERT_NE(::mkdtemp(made.data()), nullptr);
        folder_ = made;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    ClientRequest to(const TestServer& server, const std::string& path = "/") const {
        ClientRequest request;
        request.url = server.url(path);
        return request;
    }
    std::filesystem::path folder_;
    Client client_;
};

// Answers every request of a connection with what it was asked.
void echo(int fd, int number, const Context& ctx) {
    while (true) {
        const auto head = TestServer::read_until(fd, "\r\n\r\n", ctx);
        if (head.empty()) {
            return;
        }
        const auto at = head.find("Content-Length: ");
        std::string body(at == std::string::npos ? 0 : std::stoul(head.substr(at + 16)), '\0');
        for (char& byte : body) {
            ::recv(fd, &byte, 1, 0);
        }
        TestServer::send(fd, TestServer::answer(std::to_string(number) + " " + head + body));
    }
}

TEST_F(ClientTest, SendsAndReadsAndKeepsTheConnection) {
    const TestServer server(AF_INET, echo);
    auto request = to(server, "/a?b=c");
    request.method = "DELETE";
    request.headers = {{"x-one", "1"}, {"x-empty", ""}};
    for (int i = 0; i < 3; ++i) {
        const auto response = client_.request(request, soon());
        ASSERT_TRUE(response) << render_error(response.error());
        EXPECT_EQ(response->status, 200);
        EXPECT_EQ(response->header("x-test"), "Yes");
        EXPECT_THAT(response->body, StartsWith("0 DELETE /a?b=c HTTP/1.1\r\n"));
        EXPECT_THAT(response->body, HasSubstr("\r\nx-one: 1\r\n"));
        EXPECT_THAT(response->body, HasSubstr("\r\nx-empty:\r\n"));
    }
    // Nothing of one request stays for the next.
    request = to(server);
    request.method = "POST";
    request.body = "hello";
    EXPECT_THAT(client_.request(request, soon())->body, testing::EndsWith("\r\n\r\nhello"));
    const auto plain = client_.request(to(server), soon());
    EXPECT_THAT(plain->body, StartsWith("0 GET / HTTP/1.1\r\n"));
    EXPECT_THAT(plain->body, Not(HasSubstr("x-one")));
    EXPECT_THAT(plain->body, Not(HasSubstr("Content-Length")));
}

TEST_F(ClientTest, UnixSocket) {
    const TestServer server(folder_ / "s", echo);
    ClientRequest request;
    request.url = "http://seatrial/x";
    request.unix_socket = folder_ / "s";
    EXPECT_THAT(client_.request(request, soon())->body, HasSubstr("Host: seatrial\r\n"));
}

TEST_F(ClientTest, NothingListensIsUnavailable) {
    ClientRequest request;
    request.url = "http://seatrial/";
    request.unix_socket = folder_ / "none";
    auto response = client_.request(request, soon());
    EXPECT_EQ(response.error().code, Code::unavailable);
    EXPECT_THAT(response.error().message, HasSubstr("none"));
    request.unix_socket.clear();
    request.url = TestServer(AF_INET, echo).url();    // gone with its scope
    EXPECT_EQ(client_.request(request, soon()).error().code, Code::unavailable);
}

TEST_F(ClientTest, SocketWithoutPermissionIsRefused) {
    const TestServer server(folder_ / "s", echo);
    std::filesystem::permissions(folder_, std::filesystem::perms(0711));
    std::filesystem::permissions(folder_ / "s", std::filesystem::perms::none);
    ClientRequest request;
    request.url = "http://seatrial/";
    request.unix_socket = folder_ / "s";
    // Credentials belong to a thread: root gives them up in one that then ends.
    std::thread nobody([&request] {
        if (::geteuid() == 0) {
            ASSERT_EQ(::syscall(SYS_setresuid, -1, 65534, -1), 0);
        }
        EXPECT_EQ(Client().request(request, soon()).error().code, Code::refused);
    });
    nobody.join();
}

TEST_F(ClientTest, BadInputIsInvalid) {
    for (const std::string url : {"", "ftp://x/", "file:///etc/passwd", "http://[/"}) {
        ClientRequest request;
        request.url = url;
        const auto response = client_.request(request, soon());
        ASSERT_FALSE(response) << url;
        EXPECT_EQ(response.error().code, Code::invalid) << url;
    }
    const TestServer server(AF_INET, echo);
    auto request = to(server);
    request.headers = {{"x", "1\r\ny: 2"}};
    EXPECT_EQ(client_.request(request, soon()).error().code, Code::invalid);
}

TEST_F(ClientTest, RedirectsAreNotFollowed) {
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        TestServer::read_until(fd, "\r\n\r\n", ctx);
        TestServer::send(fd, "HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n");
    });
    EXPECT_EQ(client_.request(to(server), soon())->status, 302);
}

TEST_F(ClientTest, BrokenAnswersAreUnavailable) {
    for (const std::string text : {"", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"}) {
        const TestServer server(AF_INET, [text](int fd, int, const Context& ctx) {
            TestServer::read_until(fd, "\r\n\r\n", ctx);
            TestServer::send(fd, text);
        });
        EXPECT_EQ(client_.request(to(server), soon()).error().code, Code::unavailable) << text;
    }
}

TEST_F(ClientTest, TooLargeAnAnswerIsCut) {
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        TestServer::read_until(fd, "\r\n\r\n", ctx);
        TestServer::send(fd, TestServer::answer(std::string(100'000, 'x')));
    });
    auto request = to(server);
    request.answer_limit = 1000;
    EXPECT_EQ(client_.request(request, soon()).error().code, Code::invalid);
    request.answer_limit = 100'000;
    EXPECT_EQ(client_.request(request, soon())->body.size(), 100'000u);
}

TEST_F(ClientTest, DeadlineAndCancellationEndARequest) {
    const TestServer silent(AF_INET, [](int, int, const Context& ctx) {
        [[maybe_unused]] const auto waited = wait_fd(-1, 0, ctx);
    });
    const auto late = client_.request(to(silent), Context().with_timeout(milliseconds(20)));
    EXPECT_EQ(late.error().code, Code::timed_out);
    CancelSource cancel;
    std::thread canceller([&cancel] { cancel.cancel(); });
    EXPECT_EQ(client_.request(to(silent), cancel.context()).error().code, Code::cancelled);
    canceller.join();
    const TestServer server(AF_INET, echo);
    EXPECT_EQ(client_.request(to(server), soon())->status, 200);    // the handle is still good
}

// --- uploads ---

// Reads a chunked body and answers with its size and last bytes.
void count_chunks(int fd, int, const Context& ctx) {
    const auto head = TestServer::read_until(fd, "\r\n\r\n", ctx);
    if (head.find("Expect: 100-continue") != std::string::npos) {
        TestServer::send(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    std::size_t total = 0;
    std::string last;
    while (true) {
        const auto line = TestServer::read_until(fd, "\r\n", ctx);
        const auto size = line.empty() ? 0 : std::stoul(line, nullptr, 16);
        std::string chunk(size + 2, '\0');
        std::size_t got = 0;
        while (got < chunk.size()) {
            const auto more = ::recv(fd, chunk.data() + got, chunk.size() - got, 0);
            if (more <= 0) {
                return;
            }
            got += static_cast<std::size_t>(more);
        }
        if (size == 0) {
            break;
        }
        total += size;
        last = chunk.substr(0, size);
    }
    TestServer::send(fd, TestServer::answer(head.substr(0, 4) + std::to_string(total) + " " +
                                            last.substr(last.size() - 3)));
}

TEST_F(ClientTest, UploadsFromAPipeOfUnknownLength) {
    const TestServer server(AF_INET, count_chunks);
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd out(ends[0]);
    std::thread writer([in = ends[1]] {
        const Fd owned(in);
        const std::string piece(70'000, 'x');
        for (int i = 0; i < 30; ++i) {
            // Now and then the pipe is empty: the transfer must pause, not block.
            [[maybe_unused]] const auto waited = wait_for(milliseconds(i % 10 == 0 ? 5 : 0), {});
            ASSERT_EQ(::write(in, piece.data(), piece.size()), 70'000);
        }
        ASSERT_EQ(::write(in, "end", 3), 3);
    });
    auto request = to(server);
    request.method = "PUT";
    request.upload_fd = out.get();
    const auto response = client_.request(request, soon());
    writer.join();
    ASSERT_TRUE(response) << render_error(response.error());
    EXPECT_THAT(response->body, StartsWith("PUT 2100003 "));
    EXPECT_THAT(response->body, testing::EndsWith("end"));
}

TEST_F(ClientTest, ASilentPipeCanBeCancelled) {
    const TestServer server(AF_INET, count_chunks);
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    auto request = to(server);
    request.method = "POST";
    request.upload_fd = out.get();
    rusage before{};
    ::getrusage(RUSAGE_THREAD, &before);
    const auto response = client_.request(request, Context().with_timeout(milliseconds(150)));
    EXPECT_EQ(response.error().code, Code::timed_out);
    rusage after{};
    ::getrusage(RUSAGE_THREAD, &after);
    // It waited and did not spin.
    EXPECT_LT(after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw, 60);
    EXPECT_LT(after.ru_utime.tv_usec - before.ru_utime.tv_usec, 100'000);
}

TEST_F(ClientTest, AFileIsSentFromWhereItStandsWithItsLength) {
    std::ofstream(folder_ / "file") << "skipped-content";
    const Fd file(::open((folder_ / "file").c_str(), O_RDONLY | O_CLOEXEC));
    ::lseek(file.get(), 8, SEEK_SET);
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        const auto head = TestServer::read_until(fd, "\r\n\r\n", ctx);
        if (head.find("100-continue") != std::string::npos) {
            TestServer::send(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        const bool sized = head.find("Content-Length: 7\r\n") != std::string::npos;
        TestServer::send(fd, TestServer::answer(sized ? TestServer::read_until(fd, "content", ctx)
                                                      : "no length: " + head));
    });
    auto request = to(server);
    request.method = "POST";
    request.upload_fd = file.get();
    EXPECT_EQ(client_.request(request, soon())->body, "content");
}

TEST_F(ClientTest, ARefusalEndsTheUploadEarly) {
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        TestServer::read_until(fd, "\r\n\r\n", ctx);
        TestServer::send(fd, TestServer::answer("too large", "413 Content Too Large"));
    });
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd out(ends[0]);
    const Fd in(ends[1]);    // never written: the answer must not wait for it
    auto request = to(server);
    request.method = "POST";
    request.upload_fd = out.get();
    const auto response = client_.request(request, soon());
    ASSERT_TRUE(response) << render_error(response.error());
    EXPECT_EQ(response->status, 413);
    EXPECT_EQ(response->body, "too large");
}

// --- events ---

void stream(int fd, int number, const Context& ctx) {
    const auto head = TestServer::read_until(fd, "\r\n\r\n", ctx);
    const auto at = head.find("last-event-id: ");
    int id = at == std::string::npos ? 0 : std::stoi(head.substr(at + 15));
    TestServer::send(fd, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
        ++id;
        TestServer::send(fd, "id: " + std::to_string(id) + "\nevent: n" + std::to_string(number) +
                                 "\ndata: x\n\n:\n\n");
    }
    if (head.find("/hold") != std::string::npos) {
        [[maybe_unused]] const auto waited = wait_fd(-1, 0, ctx);
    }
}

TEST_F(ClientTest, EventsComeUntilTheEndAndGoOnFromTheLastId) {
    const TestServer server(AF_INET, stream);
    std::vector<std::string> seen;
    std::string last;
    const auto keep = [&](const Event& event) {
        seen.push_back(event.name + event.id);
        last = event.id;
        return true;
    };
    for (int i = 0; i < 2; ++i) {
        const auto ended = client_.listen(to(server), last, keep, soon());
        ASSERT_TRUE(ended) << render_error(ended.error());
        EXPECT_EQ(ended->status, 200);
    }
    EXPECT_THAT(seen, ElementsAre("n01", "n02", "n03", "n14", "n15", "n16"));
}

TEST_F(ClientTest, ListeningStopsWhenToldTo) {
    const TestServer server(AF_INET, stream);
    int seen = 0;
    const auto two = [&seen](const Event&) { return ++seen < 2; };
    EXPECT_TRUE(client_.listen(to(server, "/hold"), "", two, soon()));
    EXPECT_EQ(seen, 2);
    CancelSource cancel;
    const auto cancelling = [&cancel](const Event&) {
        cancel.cancel();
        return true;
    };
    EXPECT_EQ(client_.listen(to(server, "/hold"), "", cancelling, cancel.context()).error().code,
              Code::cancelled);
}

TEST_F(ClientTest, ABodyGoesToWhoeverAskedForItUnlessItIsAnErrors) {
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        const auto head = TestServer::read_until(fd, "\r\n\r\n", ctx);
        const bool good = head.find("/good") != std::string::npos;
        TestServer::send(
            fd, TestServer::answer(std::string(100'000, 'x'), good ? "201 Created" : "500 No"));
    });
    std::size_t seen = 0;
    const auto count = [&seen](std::string_view text) {
        seen += text.size();
        return true;
    };
    auto request = to(server, "/good");
    request.answer_limit = 1;    // is for what is kept
    const auto good = client_.stream(request, count, soon());
    ASSERT_TRUE(good) << render_error(good.error());
    EXPECT_EQ(good->status, 201);
    EXPECT_EQ(good->body, "");
    EXPECT_EQ(seen, 100'000U);
    const auto stop = [](std::string_view) { return false; };
    EXPECT_TRUE(client_.stream(request, stop, soon()));
    const auto bad = client_.stream(to(server), count, soon());
    EXPECT_EQ(bad->status, 500);
    EXPECT_EQ(bad->body.size(), 100'000U);
    EXPECT_EQ(seen, 100'000U);
}

TEST_F(ClientTest, ARefusedStreamIsAnAnswer) {
    const TestServer server(AF_INET, [](int fd, int, const Context& ctx) {
        TestServer::read_until(fd, "\r\n\r\n", ctx);
        TestServer::send(fd, TestServer::answer("data: no event\n\n", "404 Not Found"));
    });
    const auto never = [](const Event&) {
        ADD_FAILURE();
        return true;
    };
    const auto response = client_.listen(to(server), "", never, soon());
    EXPECT_EQ(response->status, 404);
    EXPECT_EQ(response->body, "data: no event\n\n");
}

}    // namespace
}    // namespace seatrial::net
