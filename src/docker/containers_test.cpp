#include "docker/containers.h"

#include <nlohmann/json.hpp>

#include "docker/docker_fixture.h"
#include "net/probe.h"

namespace seatrial::docker {
namespace {

using ::testing::HasSubstr;

class ContainersTest : public DockerTest {};

TEST_F(ContainersTest, RunsToItsEnd) {
    auto spec = box("st-run", {"sh", "-c", "echo out; echo err >&2; echo $SECRET; id -u; exit 7"});
    spec.environment["SECRET"] = Secret("a b=c");
    spec.user = "65534";
    spec.labels = {{"seatrial.life", "one"}};
    run(spec);
    EXPECT_EQ(wait_container(*engine_, "st-run", soon()), 7);
    std::string out;
    std::string err;
    ASSERT_TRUE(read_logs(
        *engine_, "st-run", {},
        [&](Stream stream, std::string_view text) {
            (stream == Stream::out ? out : err) += text;
            return true;
        },
        soon()));
    EXPECT_EQ(out, "out\na b=c\n65534\n");
    EXPECT_EQ(err, "err\n");
    const auto seen = inspect_container(*engine_, "st-run", soon());
    EXPECT_EQ(seen->state, "exited");
    EXPECT_EQ(seen->exit_code, 7);
    EXPECT_TRUE(engine_->is_ours(seen->labels));
    EXPECT_EQ(list_containers(*engine_, {{"seatrial.life", "one"}}, soon())->front().name,
              "st-run");
    EXPECT_TRUE(list_containers(*engine_, {{"seatrial.life", "two"}}, soon())->empty());
    EXPECT_EQ(create_container(*engine_, spec, soon()).error().code, Code::conflict);
    EXPECT_TRUE(remove_container(*engine_, "st-run", soon()));
    EXPECT_TRUE(remove_container(*engine_, "st-run", soon())) << "twice";
    EXPECT_EQ(inspect_container(*engine_, "st-run", soon()).error().code, Code::not_found);
}

TEST_F(ContainersTest, IsConfined) {
    auto spec = box("st-box", {"sh", "-c",
                               "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status;"
                               "touch /x; touch /scratch/x && echo scratch;"
                               "cat /sys/fs/cgroup/memory/memory.limit_in_bytes "
                               "/sys/fs/cgroup/memory.max; "
                               "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"});
    spec.read_only_root = true;
    spec.mounts = {{.target = "/scratch", .memory_bytes = 1 << 20}};
    spec.memory_bytes = 64 << 20;
    spec.cpu_percent = 50;
    spec.pids = 33;
    run(spec);
    const auto [code, text] = finish("st-box");
    EXPECT_THAT(text, HasSubstr("CapEff:\t0000000000000000"));
    EXPECT_THAT(text, HasSubstr("CapBnd:\t0000000000000000"));
    EXPECT_THAT(text, HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(text, HasSubstr("touch: /x: Read-only file system"));
    EXPECT_THAT(text, HasSubstr("scratch\n"));
    EXPECT_THAT(text, HasSubstr("67108864\n"));
    EXPECT_THAT(text, HasSubstr("33\n"));
    const auto raw = engine_->call({.path = "/containers/st-box/json"}, soon());
    EXPECT_EQ((*raw)["HostConfig"]["NanoCpus"], 500'000'000);
}

TEST_F(ContainersTest, MemoryThatIsNotThereEndsIt) {
    auto spec = box("st-hog", {"sh", "-c", "x=a; while true; do x=$x$x$x; done"});
    spec.memory_bytes = 16 << 20;
    run(spec);
    EXPECT_EQ(wait_container(*engine_, "st-hog", soon()), 137);
    EXPECT_TRUE(inspect_container(*engine_, "st-hog", soon())->out_of_memory);
}

TEST_F(ContainersTest, StopsAsItIsAskedAndAsItIsNot) {
    run(box("st-good", {"sh", "-c", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done"}));
    run(box("st-deaf", {"sh", "-c", "trap '' TERM; echo on; while :; do sleep 0.05; done"}));
    ASSERT_TRUE(stop_container(*engine_, "st-good", std::chrono::seconds(20), soon()));
    ASSERT_TRUE(stop_container(*engine_, "st-good", std::chrono::seconds(20), soon())) << "twice";
    EXPECT_EQ(finish("st-good"), (std::pair<int, std::string>{0, "bye\n"}));
    ASSERT_TRUE(stop_container(*engine_, "st-deaf", std::chrono::seconds(0), soon()));
    EXPECT_EQ(wait_container(*engine_, "st-deaf", soon()), 137);
    ASSERT_TRUE(start_container(*engine_, "st-deaf", soon()));
    ASSERT_TRUE(start_container(*engine_, "st-deaf", soon())) << "twice";
    ASSERT_TRUE(kill_container(*engine_, "st-deaf", "SIGKILL", soon()));
    EXPECT_EQ(wait_container(*engine_, "st-deaf", soon()), 137);
}

TEST_F(ContainersTest, ServesOnAPublishedPortAndUnderItsNames) {
    ASSERT_TRUE(create_network(*engine_, "st-front", {}, false, soon()));
    ASSERT_TRUE(create_network(*engine_, "st-back", {}, false, soon()));
    auto web =
        box("st-web", {"sh", "-c", "echo hello > /srv/index.html; httpd -f -p 8080 -h /srv"});
    web.ports = {{.container = 8080}};
    web.networks = {{"st-front", {"web"}}, {"st-back", {"inner"}}};
    web.health = HealthCheck{.argv = {"wget", "-q", "-O", "-", "http://127.0.0.1:8080/"},
                             .interval = std::chrono::milliseconds(100)};
    run(web);
    Context ctx = soon();
    auto seen = inspect_container(*engine_, "st-web", ctx);
    while (seen && seen->health != "healthy" && wait_for(std::chrono::milliseconds(10), ctx)) {
        seen = inspect_container(*engine_, "st-web", ctx);
    }
    ASSERT_EQ(seen->health, "healthy");
    EXPECT_EQ(seen->addresses.size(), 2U);
    const int port = seen->ports.at(8080);
    EXPECT_EQ(net::http_get_status(static_cast<std::uint16_t>(port), "/", soon()), 200);
    auto client = box("st-client", {"sh", "-c", "wget -q -O - http://inner:8080/"});
    client.networks = {{"st-back"}};
    run(client);
    EXPECT_EQ(finish("st-client"), (std::pair<int, std::string>{0, "hello\n"}));
    auto second = web;
    second.name = "st-second";
    second.ports = {{.container = 8080, .host = port}};
    ASSERT_TRUE(create_container(*engine_, second, soon()));
    const Status started = start_container(*engine_, "st-second", soon());
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::conflict) << render_error(started.error());
    EXPECT_EQ(started.error().field, "port:" + std::to_string(port));
}

TEST_F(ContainersTest, WhatIsNotOursIsNeverTouched) {
    auto spec = box("theirs", {"sleep", "600"});
    ASSERT_TRUE(create_container(*stranger_, spec, soon()));
    ASSERT_TRUE(start_container(*stranger_, "theirs", soon()));
    EXPECT_EQ(start_container(*engine_, "theirs", soon()).error().code, Code::conflict);
    EXPECT_EQ(stop_container(*engine_, "theirs", std::chrono::seconds(0), soon()).error().code,
              Code::conflict);
    EXPECT_EQ(kill_container(*engine_, "theirs", "SIGKILL", soon()).error().code, Code::conflict);
    EXPECT_EQ(remove_container(*engine_, "theirs", soon()).error().code, Code::conflict);
    EXPECT_EQ(inspect_container(*engine_, "theirs", soon())->state, "running");
    EXPECT_TRUE(list_containers(*engine_, {}, soon())->empty());
}

TEST_F(ContainersTest, LogsAreFollowedCappedAndCutShort) {
    run(box("st-loud", {"sh", "-c", "yes=xxxxxxxxx; while :; do echo $yes; done"}));
    std::size_t seen = 0;
    const auto count = [&](Stream, std::string_view text) {
        seen += text.size();
        return true;
    };
    ASSERT_TRUE(
        read_logs(*engine_, "st-loud", {.follow = true, .limit_bytes = 100'000}, count, soon()));
    EXPECT_EQ(seen, 100'000U);
    CancelSource source;
    const auto cancel = [&](Stream, std::string_view) {
        source.cancel();
        return true;
    };
    EXPECT_EQ(
        read_logs(*engine_, "st-loud", {.follow = true}, cancel, source.context()).error().code,
        Code::cancelled);
    ASSERT_TRUE(kill_container(*engine_, "st-loud", "SIGKILL", soon()));
    std::string tail;
    ASSERT_TRUE(read_logs(
        *engine_, "st-loud", {.tail = 2},
        [&](Stream, std::string_view text) {
            tail += text;
            return true;
        },
        soon()));
    EXPECT_EQ(tail, "xxxxxxxxx\nxxxxxxxxx\n");
}

TEST_F(ContainersTest, CommandsRunInside) {
    run(box("st-host", {"sleep", "600"}));
    std::string text;
    const auto keep = [&](Stream stream, std::string_view part) {
        text += stream == Stream::out ? "1:" : "2:";
        text += part;
        return true;
    };
    ExecSpec spec{.argv = {"sh", "-c", "echo $WHO; exit 3"}, .cwd = "/tmp"};
    spec.environment["WHO"] = Secret("me");
    EXPECT_EQ(exec_in_container(*engine_, "st-host", spec, keep, soon()), 3);
    EXPECT_EQ(text, "1:me\n");
    text.clear();
    EXPECT_EQ(
        exec_in_container(*engine_, "st-host",
                          {.argv = {"sh", "-c", "seq 100000"}, .limit_bytes = 10}, keep, soon()),
        0);
    EXPECT_EQ(text, "1:1\n2\n3\n4\n5\n");
    const auto bad = exec_in_container(*engine_, "st-host", {.argv = {"no-such"}}, keep, soon());
    EXPECT_TRUE(!bad || *bad == 126 || *bad == 127);
}

TEST_F(ContainersTest, FaultsAreTheEnginesOwnWords) {
    auto spec = box("st-bad", {"/bin/no-such-program"});
    run(spec);    // the init process in front of it is there
    const auto [code, text] = finish("st-bad");
    EXPECT_EQ(code, 127);
    EXPECT_THAT(text, HasSubstr("no-such-program"));
    spec.name = "st-worse";
    spec.image = "local/absent:1";
    const auto made = create_container(*engine_, spec, soon());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::not_found);
    EXPECT_THAT(made.error().message, HasSubstr("local/absent:1"));
}

}    // namespace
}    // namespace seatrial::docker
