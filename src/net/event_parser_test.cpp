#include "net/event_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace seatrial::net {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> parse(std::string_view text, std::size_t piece) {
    EventParser parser;
    std::vector<std::string> events;
    const auto keep = [&events](const Event& event) {
        events.push_back(event.name + "|" + event.data + "|" + event.id);
        return true;
    };
    while (!text.empty()) {
        EXPECT_TRUE(parser.feed(text.substr(0, piece), keep));
        text.remove_prefix(std::min(piece, text.size()));
    }
    return events;
}

TEST(EventParser, SameEventsHoweverTheTextIsCut) {
    const std::string text =
        "\xef\xbb\xbf"
        "event: step\nid: 1\ndata: a\ndata: b\n\n"
        ": comment\n\n"
        "data:x\r\ndata:  y\r\n\r\n"
        "data\rid\r\r"
        "event: lost\n\n"
        "retry: 5\nunknown: z\nid: 9\ndata: last\n\n"
        "data: incomplete\n";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        EXPECT_THAT(parse(text, piece),
                    ElementsAre("step|a\nb|1", "message|x\n y|1", "message||", "message|last|9"))
            << piece;
    }
}

TEST(EventParser, StopsWhenToldTo) {
    EventParser parser;
    int seen = 0;
    const auto stopped = parser.feed("data: 1\n\ndata: 2\n\n", [&seen](const Event&) {
        ++seen;
        return false;
    });
    EXPECT_FALSE(stopped.value_or(true));
    EXPECT_EQ(seen, 1);
}

TEST(EventParser, AnEventHasALimit) {
    EventParser parser(1000);
    const auto any = [](const Event&) { return true; };
    const std::string line(600, 'x');
    EXPECT_TRUE(parser.feed("data: " + line + "\n\n", any));
    EXPECT_TRUE(parser.feed("data: " + line + "\n", any));
    EXPECT_EQ(parser.feed("data: " + line, any).error().code, Code::invalid);
}

}    // namespace
}    // namespace seatrial::net
