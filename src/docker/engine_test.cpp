#include "docker/engine.h"

#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "docker/docker_fixture.h"
#include "net/test_server.h"
#include "support/temp_dir.h"

namespace seatrial::docker {
namespace {

using ::testing::HasSubstr;

class EngineTest : public DockerTest {};

TEST_F(EngineTest, TellsWhatItIs) {
    ASSERT_TRUE(engine_->ping(soon()));
    const auto info = engine_->info(soon());
    ASSERT_TRUE(info) << render_error(info.error());
    EXPECT_FALSE(info->version.empty());
    EXPECT_EQ(info->api_version.substr(0, 2), "1.");
    EXPECT_EQ(info->storage_driver, "overlay2");
    EXPECT_GT(info->cpus, 0);
    EXPECT_GT(info->memory_bytes, 1 << 20);
}

TEST(Engine, ThatDoesNotAnswerIsUnavailableWithARemedy) {
    Engine nobody("/nonexistent/docker.sock", "tstdkr");
    const Status answered = nobody.ping(soon());
    ASSERT_FALSE(answered);
    EXPECT_EQ(answered.error().code, Code::unavailable);
    EXPECT_THAT(answered.error().hint, HasSubstr("start the Docker engine"));
    EXPECT_THAT(render_error(answered.error()), HasSubstr("/nonexistent/docker.sock"));
}

// What an engine says and what becomes of it.
struct Saying {
    const char* status;
    const char* body;
    Code code;
    const char* field;
};

class Answers : public ::testing::TestWithParam<Saying> {};

TEST_P(Answers, BecomeErrorsOfAKind) {
    const test::TempDir dir;
    const auto& saying = GetParam();
    const net::TestServer server(dir.path() / "s", [&](int fd, int, const Context& ctx) {
        while (true) {
            const auto head = net::TestServer::read_until(fd, "\r\n\r\n", ctx);
            if (head.empty()) {
                return;
            }
            if (head.find("/_ping") != std::string::npos) {
                net::TestServer::send(fd,
                                      "HTTP/1.1 200 OK\r\nApi-Version: 1.99\r\n"
                                      "content-length: 2\r\n\r\nOK");
            } else {
                EXPECT_THAT(head, HasSubstr("/v1.47/x"));
                net::TestServer::send(fd, net::TestServer::answer(saying.body, saying.status));
            }
        }
    });
    Engine engine(dir.path() / "s", "tstdkr");
    const auto answer = engine.call({.path = "/x"}, soon());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, saying.code) << render_error(answer.error());
    EXPECT_EQ(answer.error().field, saying.field);
    EXPECT_THAT(answer.error().message, HasSubstr("the reason"));
}

INSTANTIATE_TEST_SUITE_P(
    All, Answers,
    ::testing::Values(
        Saying{"404 Not Found", R"({"message": "the reason"})", Code::not_found, ""},
        Saying{"400 Bad Request", R"({"message": "the reason"})", Code::invalid, ""},
        Saying{"409 Conflict", "the reason", Code::conflict, ""},
        Saying{"403 Forbidden", "the reason", Code::refused, ""},
        Saying{"500 Internal Server Error", R"({"message": "the reason"})", Code::failed, ""},
        Saying{"500 Internal Server Error", R"({"message": "the reason: no space left on device"})",
               Code::unavailable, ""},
        Saying{"500 Internal Server Error",
               R"({"message": "the reason: Bind for 127.0.0.1:8123 failed: )"
               R"(port is already allocated"})",
               Code::conflict, "port:8123"}));

TEST(Engine, OfAnotherKindIsNamed) {
    const test::TempDir dir;
    const net::TestServer server(dir.path() / "s", [](int fd, int, const Context& ctx) {
        net::TestServer::read_until(fd, "\r\n\r\n", ctx);
        net::TestServer::send(fd,
                              "HTTP/1.1 200 OK\r\nApi-Version: 1.12\r\n"
                              "content-length: 2\r\n\r\nOK");
    });
    Engine engine(dir.path() / "s", "tstdkr");
    const Status answered = engine.ping(soon());
    ASSERT_FALSE(answered);
    EXPECT_EQ(answered.error().code, Code::invalid);
    EXPECT_THAT(answered.error().hint, HasSubstr("19.03"));
}

TEST(Engine, NamesCannotLeaveTheirPlaceInAPath) {
    Engine nobody("/nonexistent", "tstdkr");
    for (const char* name : {"", "../info", "a/b", "a?b", "-a", ".", "a b", "a%2f"}) {
        EXPECT_EQ(inspect_container(nobody, name, soon()).error().code, Code::invalid) << name;
        EXPECT_EQ(find_volume(nobody, name, soon()).error().code, Code::invalid) << name;
    }
    for (const char* name : {"", "../info", "a/../b", "a?b", "-a", "/a", "a b"}) {
        EXPECT_EQ(inspect_image(nobody, name, soon()).error().code, Code::invalid) << name;
    }
    EXPECT_EQ(escape("a b?&=/:@~é"), "a%20b%3F%26%3D/:@~%C3%A9");
}

TEST_F(EngineTest, ACancelledCallDecidesNothing) {
    CancelSource source;
    source.cancel();
    EXPECT_EQ(engine_->ping(source.context()).error().code, Code::cancelled);
    EXPECT_EQ(list_containers(*engine_, {}, Context().with_timeout(std::chrono::milliseconds(0)))
                  .error()
                  .code,
              Code::timed_out);
}

TEST_F(EngineTest, NetworksComeAndGoByLabel) {
    const auto made = create_network(*engine_, "st-net", {{"seatrial.life", "a"}}, true, soon());
    ASSERT_TRUE(made) << render_error(made.error());
    EXPECT_EQ(create_network(*engine_, "st-net", {}, true, soon()).error().code, Code::conflict);
    ASSERT_TRUE(create_network(*stranger_, "other", {}, false, soon()));
    EXPECT_EQ(list_networks(*engine_, {{"seatrial.life", "a"}}, soon())->size(), 1U);
    EXPECT_EQ(list_networks(*engine_, {{"seatrial.life", "b"}}, soon())->size(), 0U);
    const auto found = find_networks(*engine_, "st-net", soon());
    ASSERT_EQ(found->size(), 1U);
    EXPECT_TRUE(found->front().internal);
    EXPECT_THAT(found->front().subnet, HasSubstr("/24"));
    const auto others = find_networks(*engine_, "other", soon());
    EXPECT_EQ(remove_network(*engine_, others->front(), soon()).error().code, Code::conflict);
    auto spec = box("st-in-it", {"sleep", "600"});
    spec.networks = {{"st-net", {"db"}}};
    run(spec);
    EXPECT_TRUE(remove_network(*engine_, found->front(), soon())) << "though it is in use";
    EXPECT_TRUE(remove_network(*engine_, found->front(), soon())) << "twice";
    EXPECT_TRUE(find_networks(*engine_, "st-net", soon())->empty());
}

TEST_F(EngineTest, VolumesKeepWhatIsWritten) {
    ASSERT_TRUE(create_volume(*engine_, "st-data", {{"seatrial.life", "a"}}, soon()));
    ASSERT_TRUE(create_volume(*engine_, "st-data", {{"seatrial.life", "a"}}, soon())) << "twice";
    auto writer = box("st-writer", {"sh", "-c", "echo kept > /data/x"});
    writer.mounts = {{.volume = "st-data", .target = "/data"}};
    run(writer);
    EXPECT_EQ(finish("st-writer").first, 0);
    auto reader = box("st-reader", {"sh", "-c", "cat /data/x; echo no > /data/x"});
    reader.mounts = {{.volume = "st-data", .target = "/data", .read_only = true}};
    run(reader);
    const auto [code, text] = finish("st-reader");
    EXPECT_NE(code, 0);
    EXPECT_THAT(text, HasSubstr("kept\n"));
    EXPECT_THAT(text, HasSubstr("Read-only"));
    EXPECT_EQ(remove_volume(*engine_, "st-data", soon()).error().code, Code::conflict);
    EXPECT_EQ(list_volumes(*engine_, {{"seatrial.life", "a"}}, soon())->size(), 1U);
    ASSERT_TRUE(create_volume(*stranger_, "theirs", {}, soon()));
    EXPECT_EQ(remove_volume(*engine_, "theirs", soon()).error().code, Code::conflict);
    EXPECT_TRUE(remove_volume(*engine_, "st-never", soon()));
}

}    // namespace
}    // namespace seatrial::docker
