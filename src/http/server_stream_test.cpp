#include <atomic>
#include <fstream>
#include <latch>

#include "http/server_fixture.h"

namespace seatrial::http {
namespace {

using std::chrono::milliseconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class StreamTest : public ServerFixture {
protected:
    // /events keeps its stream here; ?first=TEXT is sent before the handler returns.
    Route events() {
        return {"GET",
                "/events",
                RouteKind::stream,
                {},
                [this](const Request& request, const std::shared_ptr<EventStream>& stream,
                       const Context&) {
                    if (request.query_value("refuse")) {
                        return problem(403, "refused", "not you");
                    }
                    if (const auto first = request.query_value("first")) {
                        stream->send("first", *first, request.header("last-event-id").value_or(""));
                    }
                    stream->on_close([this] { ++closed_; });
                    const std::lock_guard lock(mutex_);
                    streams_.push_back(stream);
                    return Response{};
                }};
    }
    TestClient listen(const std::string& query = {}) const {
        auto client = this->client();
        client.send("GET /events" + query + " HTTP/1.1\r\nhost: x\r\nlast-event-id: 41\r\n\r\n");
        return client;
    }
    std::shared_ptr<EventStream> stream(std::size_t index) {
        std::shared_ptr<EventStream> found;
        becomes([&] {
            const std::lock_guard lock(mutex_);
            found = index < streams_.size() ? streams_[index] : nullptr;
            return found != nullptr;
        });
        return found;
    }
    void broadcast(const std::string& text) {
        const std::lock_guard lock(mutex_);
        for (const auto& stream : streams_) {
            stream->send("tick", text);
        }
    }

    std::mutex mutex_;
    std::vector<std::shared_ptr<EventStream>> streams_;
    std::atomic<int> closed_ = 0;
};

TEST_F(StreamTest, EventsArriveAsTheyAreSentAndHoldNoThread) {
    options_.thread_idle = milliseconds(1);
    start({events()});
    auto client = listen("?first=hello");
    const auto head = client.read_until("\r\n\r\n");
    EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(head, HasSubstr("content-type: text/event-stream\r\n"));
    EXPECT_EQ(client.read_until("\n\n"), "event: first\nid: 41\ndata: hello\n\n");
    EXPECT_TRUE(becomes([this] { return server_->stats().threads == 0; }));
    const auto sender = stream(0);
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(sender->send("n", std::to_string(i)));
        EXPECT_EQ(client.read_until("\n\n"), "event: n\ndata: " + std::to_string(i) + "\n\n");
    }
    EXPECT_EQ(server_->stats().threads, 0u);
    sender->send("bye", "now");
    sender->close();
    EXPECT_EQ(client.read_all(), "event: bye\ndata: now\n\n");
    EXPECT_TRUE(becomes([this] { return closed_ == 1; }));
}

TEST_F(StreamTest, ARefusalIsAnOrdinaryAnswer) {
    start({events()});
    EXPECT_THAT(listen("?refuse").read_answer(), StartsWith("HTTP/1.1 403 "));
    EXPECT_EQ(closed_, 0);
}

TEST_F(StreamTest, AClientThatLeavesClosesItsStream) {
    start({events()});
    auto client = listen();
    client.read_until("\r\n\r\n");
    const auto sender = stream(0);
    EXPECT_FALSE(sender->closed());
    client.close();
    EXPECT_TRUE(becomes([this] { return closed_ == 1; }));
    EXPECT_TRUE(sender->closed());
    EXPECT_FALSE(sender->send("n", "1"));
}

TEST_F(StreamTest, ASlowClientIsToldToReadAnew) {
    options_.stream_bytes = 100'000;
    start({events()});
    auto client = listen();
    client.read_until("\r\n\r\n");
    const auto sender = stream(0);
    const std::string text(10'000, 'x');
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(sender->send("n", text, std::to_string(i)));
    }
    sender->send("end", "", "500");
    const auto got = client.read_until("event: end\nid: 500\ndata: \n\n");
    EXPECT_THAT(got, HasSubstr("event: resync\n"));
    EXPECT_THAT(got, EndsWith("event: end\nid: 500\ndata: \n\n"));
    EXPECT_LT(got.size(), 4'000'000u);
}

TEST_F(StreamTest, CommentsKeepAQuietStreamAlive) {
    options_.comment_interval = milliseconds(5);
    start({events()});
    auto client = listen();
    client.read_until("\r\n\r\n");
    EXPECT_EQ(client.read_until(":\n\n"), ":\n\n");
    EXPECT_EQ(client.read_until(":\n\n"), ":\n\n");
}

TEST_F(StreamTest, StopEndsStreamsAfterWhatIsQueued) {
    start({events()});
    auto client = listen();
    client.read_until("\r\n\r\n");
    stream(0)->send("last", "words");
    EXPECT_TRUE(server_->stop(Context().with_timeout(std::chrono::seconds(20))));
    EXPECT_EQ(client.read_all(), "event: last\ndata: words\n\n");
    EXPECT_EQ(closed_, 1);
    EXPECT_FALSE(stream(0)->send("after", "death"));
}

TEST_F(StreamTest, AStreamOutlivesItsServerUnharmed) {
    start({events()});
    auto client = listen();
    client.read_until("\r\n\r\n");
    const auto sender = stream(0);
    std::atomic<bool> go = true;
    std::thread noisy([&] {
        while (go) {
            sender->send("n", "text");
        }
    });
    server_.reset();
    go = false;
    noisy.join();
    EXPECT_TRUE(sender->closed());
}

TEST_F(StreamTest, ThreeHundredListenersHearTheSame) {
    start({events()});
    std::vector<TestClient> clients;
    for (int i = 0; i < 300; ++i) {
        clients.push_back(listen());
        ASSERT_THAT(clients.back().read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    }
    for (int i = 0; i < 5; ++i) {
        broadcast(std::to_string(i));
    }
    for (auto& client : clients) {
        for (int i = 0; i < 5; ++i) {
            ASSERT_EQ(client.read_until("\n\n"),
                      "event: tick\ndata: " + std::to_string(i) + "\n\n");
        }
    }
    clients.clear();
    EXPECT_TRUE(becomes([this] { return closed_ == 300; }));
}

// --- uploads ---

class UploadTest : public ServerFixture {
protected:
    void start_upload() {
        start({{"POST",
                "/in",
                RouteKind::upload,
                [this](const Request& request, const Context&) {
                    const auto text = read_file(request.body_file, 1 << 28).value_or("unreadable");
                    if (request.query_value("keep")) {
                        std::filesystem::rename(request.body_file, folder_ / "kept");
                    }
                    return Response{200,
                                    {},
                                    request.body + std::to_string(text.size()) + " " +
                                        text.substr(text.size() - 3)};
                },
                {},
                8 << 20}});
    }
    static std::string big_text() {
        std::string text;
        for (int i = 0; text.size() < 3'000'000; ++i) {
            text += std::to_string(i);
        }
        return text + "end";
    }
};

TEST_F(UploadTest, BodyBecomesAFileThatGoesAgain) {
    std::ofstream(folder_ / "in" / "upload-77") << "left by a killed server";
    std::ofstream(folder_ / "in" / "other") << "not ours";
    start_upload();
    EXPECT_FALSE(std::filesystem::exists(folder_ / "in" / "upload-77"));
    EXPECT_TRUE(std::filesystem::remove(folder_ / "in" / "other"));
    const auto text = big_text();
    auto client = this->client();
    for (int i = 0; i < 3; ++i) {
        EXPECT_THAT(client.call("POST", "/in", text),
                    EndsWith("\r\n\r\n" + std::to_string(text.size()) + " end"));
    }
    EXPECT_TRUE(uploads_gone());
    EXPECT_THAT(client.call("POST", "/in?keep", text), EndsWith(" end"));
    EXPECT_EQ(read_file(folder_ / "kept", 1 << 24).value_or(""), text);
    EXPECT_TRUE(uploads_gone());
}

TEST_F(UploadTest, ChunkedWithoutAKnownLength) {
    start_upload();
    auto client = this->client();
    client.send("POST /in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 300; ++i) {
        client.send("2710\r\n" + std::string(10'000, 'x') + "\r\n");
    }
    client.send("3\r\nend\r\n0\r\n\r\n");
    EXPECT_THAT(client.read_answer(), EndsWith("\r\n\r\n3000003 end"));
    EXPECT_TRUE(uploads_gone());
}

TEST_F(UploadTest, TooLargeLeavesNothing) {
    start_upload();
    auto client = this->client();
    client.send("POST /in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 900; ++i) {
        client.send("2710\r\n" + std::string(10'000, 'x') + "\r\n");
    }
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 413 "));
    EXPECT_TRUE(uploads_gone());
}

TEST_F(UploadTest, AClientThatLeavesHalfWayLeavesNothing) {
    start_upload();
    auto client = this->client();
    client.send("POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n");
    client.send(std::string(2'000'000, 'x'));
    EXPECT_TRUE(becomes([this] { return !std::filesystem::is_empty(folder_ / "in"); }));
    client.close();
    EXPECT_TRUE(uploads_gone());
    EXPECT_TRUE(becomes([this] { return server_->stats().connections == 0; }));
}

TEST_F(UploadTest, AFolderThatCannotBeWrittenIsAnError) {
    start_upload();
    std::filesystem::remove(folder_ / "in");
    auto client = this->client();
    client.send("POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345");
    EXPECT_THAT(client.read_all(), HasSubstr("\"code\":"));
}

}    // namespace
}    // namespace seatrial::http
