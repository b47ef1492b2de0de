#include "docker/events.h"

#include <thread>

#include "base/clock.h"
#include "docker/docker_fixture.h"

namespace seatrial::docker {
namespace {

using ::testing::ElementsAre;

class EventsTest : public DockerTest {};

std::int64_t now() {
    return std::chrono::nanoseconds(now_utc().time_since_epoch()).count();
}

TEST_F(EventsTest, TellWhatHappenedToOurs) {
    const std::int64_t begin = now();
    auto spec = box("st-short", {"sh", "-c", "exit 4"});
    spec.labels = {{"seatrial.life", "a"}};
    run(spec);
    EXPECT_EQ(finish("st-short").first, 4);
    ASSERT_TRUE(create_container(*stranger_, box("theirs", {"true"}), soon()));
    ASSERT_TRUE(create_container(*engine_, box("st-unlike", {"true"}), soon()));
    ASSERT_TRUE(remove_container(*engine_, "st-short", soon()));
    // Our clock shows milliseconds, the engine's nanoseconds.
    const std::int64_t end = now() + 2'000'000;
    std::vector<std::string> seen;
    std::string exit_code;
    const Status watched = watch_events(
        *engine_, {.since_nanoseconds = begin, .until_nanoseconds = end, .labels = spec.labels},
        [&](const Event& event) {
            seen.push_back(event.name + " " + event.action);
            if (event.action == "die") {
                exit_code = event.attributes.at("exitCode");
            }
            return true;
        },
        soon());
    ASSERT_TRUE(watched) << render_error(watched.error());
    EXPECT_THAT(
        seen, ElementsAre("st-short create", "st-short start", "st-short die", "st-short destroy"));
    EXPECT_EQ(exit_code, "4");
}

TEST_F(EventsTest, AreWaitedForAndCutShort) {
    CancelSource source;
    std::jthread other([&] {
        [[maybe_unused]] const Status waited =
            wait_for(std::chrono::milliseconds(50), source.context());
        EXPECT_TRUE(create_container(*engine_, box("st-new", {"true"}), soon()));
    });
    const Status watched = watch_events(
        *engine_, {},
        [&](const Event& event) {
            EXPECT_EQ(event.action, "create");
            source.cancel();
            return true;
        },
        source.context());
    ASSERT_FALSE(watched);
    EXPECT_EQ(watched.error().code, Code::cancelled);
}

// With an engine of its own, which is killed.
TEST_F(EventsTest, GoOnAfterALostConnection) {
    const auto own = test::PrivateDocker::start({.live_restore = true});
    Engine engine(own->socket(), "tstdkr");
    auto spec = box("st-stays", {"sleep", "600"});
    ASSERT_TRUE(create_container(engine, spec, soon()));
    ASSERT_TRUE(start_container(engine, "st-stays", soon()));
    const auto pid = inspect_container(engine, "st-stays", soon())->pid;
    std::vector<std::string> seen;
    std::atomic<bool> listening = false;
    std::atomic<bool> again = false;
    CancelSource source;
    std::jthread watcher([&] {
        const Status watched = watch_events(
            engine,
            {.since_nanoseconds = now() - 60'000'000'000, .on_reconnect = [&] { again = true; }},
            [&](const Event& event) {
                listening = true;
                seen.push_back(event.name + " " + event.action);
                return event.name != "st-later";
            },
            source.context().with_timeout(std::chrono::seconds(60)));
        EXPECT_TRUE(watched) << render_error(watched.error());
    });
    const Context ctx = soon();
    while (!listening && wait_for(std::chrono::milliseconds(5), ctx)) {
    }
    own->tell("crash");
    const Status dead = engine.ping(soon());
    ASSERT_FALSE(dead);
    EXPECT_EQ(dead.error().code, Code::unavailable);
    own->tell("start");
    EXPECT_EQ(inspect_container(engine, "st-stays", soon())->pid, pid) << "it outlived the engine";
    while (!again && wait_for(std::chrono::milliseconds(5), ctx)) {
    }
    ASSERT_TRUE(create_container(engine, box("st-later", {"true"}), soon()));
    watcher.join();
    EXPECT_THAT(seen, ElementsAre("st-stays create", "st-stays start", "st-later create"));
}

}    // namespace
}    // namespace seatrial::docker
