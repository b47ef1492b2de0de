#include "secrets/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "net/test_server.h"
#include "secrets/ask.h"
#include "support/temp_dir.h"

namespace seatrial::secrets {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Fixed : public Source {
public:
    explicit Fixed(Result<Values> values) : values_(std::move(values)) {}
    Result<Values> read(const config::SecretSource&, const Context&) const override {
        return values_;
    }

private:
    Result<Values> values_;
};

Result<Values> read(Result<Values> values) {
    Sources sources;
    sources.add("doppler", std::make_shared<Fixed>(std::move(values)));
    config::SecretSource from;
    from.kind = "doppler";
    from.place = "shop";
    from.config = "prd";
    return sources.read(from, Context());
}

TEST(Sources, WhatTheyGiveIsCheckedAndTheirErrorsNameThem) {
    EXPECT_TRUE(read(Values{{"A", Secret("1")}}));
    const Result<Values> bad[] = {
        Values{},
        Values{{"not a name", Secret("s3cr3t")}},
        Values{{"A", Secret(std::string("s3cr3t\0x", 8))}},
        Values{{"A", Secret("s3cr3t\xFF")}},
        Values{{"A", Secret(std::string(2 << 20, 'x'))}},
        tl::unexpected(Error{Code::unavailable, "down", "wait", "", nullptr})};
    for (const auto& values : bad) {
        const auto answer = read(values);
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().mark, source_mark);
        EXPECT_THAT(answer.error().message, HasSubstr("doppler shop/prd"));
        EXPECT_THAT(render_error(answer.error()), Not(HasSubstr("s3cr3t")));
    }
    EXPECT_FALSE(Sources().read({}, Context()));
}

// Answers one after the other, then the last for ever; each connection carries one.
class Answers {
public:
    explicit Answers(std::vector<std::string> answers)
        : answers_(std::move(answers)),
          server_(AF_INET, [this](int fd, int number, const Context& ctx) {
              net::TestServer::read_until(fd, "\r\n\r\n", ctx);
              ++asked;
              const auto last = answers_.size() - 1;
              net::TestServer::send(fd, answers_[std::min(static_cast<std::size_t>(number), last)]);
          }) {}
    Result<net::ClientResponse> ask() {
        net::ClientRequest request;
        request.url = server_.url("/");
        return secrets::ask(std::move(request), Context().with_timeout(30s));
    }
    std::atomic<int> asked = 0;

private:
    std::vector<std::string> answers_;
    net::TestServer server_;
};

std::string answer(const char* status, const std::string& headers = "") {
    return "HTTP/1.1 " + std::string(status) + "\r\n" + headers +
           "Content-Length: 2\r\nConnection: close\r\n\r\n{}";
}

TEST(Ask, AsksAgainWhatMayBeAnotherLater) {
    Answers server(
        {answer("503 Sealed"), answer("429 Slow", "Retry-After: 1\r\n"), answer("200 OK")});
    const auto begun = std::chrono::steady_clock::now();
    const auto got = server.ask();
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->status, 200);
    EXPECT_EQ(server.asked, 3);
    EXPECT_GE(std::chrono::steady_clock::now() - begun, 1s);
}

TEST(Ask, GivesUpWithinItsTime) {
    Answers long_wait({answer("429 Slow", "Retry-After: 60\r\n")});
    const auto later = long_wait.ask();
    ASSERT_FALSE(later);
    EXPECT_EQ(later.error().code, Code::unavailable);
    EXPECT_EQ(long_wait.asked, 1);
    Answers down({answer("502 Bad")});
    const auto never = down.ask();
    ASSERT_FALSE(never);
    EXPECT_THAT(never.error().message, HasSubstr("502"));
    EXPECT_EQ(down.asked, 4);
    Answers denied({answer("401 No")});
    EXPECT_EQ(denied.ask()->status, 401);
    EXPECT_EQ(denied.asked, 1);
}

TEST(Ask, ACutOffOrTooLargeAnswerIsNone) {
    Answers cut({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"A\":\"s3cr3t\""});
    const auto got = cut.ask();
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::unavailable);
    EXPECT_THAT(render_error(got.error()), Not(HasSubstr("s3cr3t")));
    Answers large({"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(3 << 20, 'x')});
    const auto refused = large.ask();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid);
}

TEST(Ask, SecretsAreNotSentInTheClear) {
    for (const char* url :
         {"http://vault.example.com/v1/x", "http://127.0.0.1.example.com/",
          "https://user:pw@example.com/", "ftp://example.com/", "file:///etc/x"}) {
        net::ClientRequest request;
        request.url = url;
        const auto got = ask(request, Context());
        ASSERT_FALSE(got) << url;
        EXPECT_EQ(got.error().code, Code::invalid) << url;
    }
}

TEST(Token, OnlyAFileOfOurOwnThatHoldsOne) {
    const test::TempDir folder;
    const auto path = (folder.path() / "token").string();
    ASSERT_TRUE(write_file_atomic(path, "dp.st.prd.abc\n", 0600));
    EXPECT_EQ(read_token("token_file", path)->reveal(), "dp.st.prd.abc");
    ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
    EXPECT_EQ(read_token("token_file", path).error().code, Code::refused);
    for (const char* text : {"", "\n", "one\ntwo", "a b", "s3cr3t\r\nx-other: 1"}) {
        ASSERT_TRUE(write_file_atomic(path, text, 0600));
        const auto read = read_token("token_file", path);
        ASSERT_FALSE(read) << text;
        EXPECT_THAT(read.error().message, HasSubstr("token_file"));
        EXPECT_THAT(render_error(read.error()), Not(HasSubstr("s3cr3t")));
    }
    EXPECT_EQ(read_token("token_file", folder.path() / "none").error().code, Code::invalid);
}

}    // namespace
}    // namespace seatrial::secrets
