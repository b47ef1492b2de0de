#include "http/event_stream.h"

#include <gtest/gtest.h>

#include <memory>

namespace seatrial::http {

// The connection's end, for these tests.
struct EventStreamProbe {
    static void attach(EventStream& stream, std::function<void()> wake) {
        stream.attach(std::move(wake));
    }
    static std::string take(EventStream& stream) { return stream.take(); }
    static void detach(EventStream& stream) { stream.detach(); }
};

namespace {

using Probe = EventStreamProbe;

TEST(RenderEvent, IsTheWireFormat) {
    EXPECT_EQ(render_event("step", "one", "7"), "event: step\nid: 7\ndata: one\n\n");
    EXPECT_EQ(render_event("", "", ""), "data: \n\n");
    EXPECT_EQ(render_event("", "a\nb\r\nc\rd\n", ""),
              "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
}

TEST(RenderEvent, NameAndIdCannotForgeALine) {
    EXPECT_EQ(render_event("a\ndata: x", "y", "1\r2"), "event: a data: x\nid: 1 2\ndata: y\n\n");
}

TEST(EventStream, WakesOnceUntilTaken) {
    EventStream stream(1000);
    int woken = 0;
    Probe::attach(stream, [&woken] { ++woken; });
    EXPECT_TRUE(stream.send("a", "1"));
    EXPECT_TRUE(stream.send("a", "2"));
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(Probe::take(stream), "event: a\ndata: 1\n\nevent: a\ndata: 2\n\n");
    EXPECT_TRUE(stream.send("a", "3"));
    EXPECT_EQ(woken, 2);
    Probe::detach(stream);
    EXPECT_FALSE(stream.send("a", "4"));
    EXPECT_EQ(woken, 2);
}

TEST(EventStream, AFullQueueBecomesOneResyncWithTheNewestId) {
    EventStream stream(100);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(stream.send("step", "some text", std::to_string(i)));
    }
    const auto taken = Probe::take(stream);
    EXPECT_LE(taken.size(), 100u);
    ASSERT_TRUE(taken.starts_with("event: resync\nid: ")) << taken;
    // What follows the resync is complete: its ids run on to the last event.
    const int from = std::stoi(taken.substr(18));
    std::string expected = render_event("resync", "", std::to_string(from));
    for (int i = from + 1; i < 50; ++i) {
        expected += render_event("step", "some text", std::to_string(i));
    }
    EXPECT_EQ(taken, expected);
}

TEST(EventStream, AnEventLargerThanTheQueueIsAResyncToo) {
    EventStream stream(100);
    EXPECT_TRUE(stream.send("big", std::string(1000, 'x'), "9"));
    EXPECT_EQ(Probe::take(stream), "event: resync\nid: 9\ndata: \n\n");
}

TEST(EventStream, CloseCallbackComesOnceEvenWhenLate) {
    EventStream stream(100);
    int called = 0;
    stream.on_close([&called] { ++called; });
    stream.close();
    EXPECT_TRUE(stream.closed());
    EXPECT_FALSE(stream.send("a", "1"));
    EXPECT_EQ(called, 0);    // what is queued is still to be written
    Probe::detach(stream);
    Probe::detach(stream);
    EXPECT_EQ(called, 1);
    stream.on_close([&called] { called += 10; });
    EXPECT_EQ(called, 11);
}

}    // namespace
}    // namespace seatrial::http
