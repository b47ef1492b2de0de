#include "docker/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "docker/json.h"

namespace seatrial::docker {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> objects_in(std::string_view text, std::size_t step) {
    JsonStream stream(200);
    std::vector<std::string> seen;
    while (!text.empty()) {
        const auto fed = stream.feed(text.substr(0, step), [&](const nlohmann::json& object) {
            seen.push_back(object.dump());
            return true;
        });
        if (!fed) {
            seen.push_back(std::string(to_string(fed.error().code)));
            break;
        }
        text.remove_prefix(std::min(step, text.size()));
    }
    return seen;
}

TEST(JsonStream, FindsObjectsHoweverTheyAreCut) {
    const std::string text =
        "{\"a\":\"}{\\\"\\\\\"}\r\n{\"b\":[{\"c\":1}]}{}\n {\"d\":\"\\u00e9\"}";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        EXPECT_THAT(objects_in(text, step),
                    ElementsAre(R"({"a":"}{\"\\"})", R"({"b":[{"c":1}]})", "{}", "{\"d\":\"é\"}"));
    }
}

TEST(JsonStream, RefusesWhatIsNone) {
    EXPECT_THAT(objects_in("{} 1", 2), ElementsAre("{}", "invalid"));
    EXPECT_THAT(objects_in("[1]", 9), ElementsAre("invalid"));
    EXPECT_THAT(objects_in("{]", 9), ElementsAre("invalid"));
    EXPECT_THAT(objects_in("{\"a\":nope}", 9), ElementsAre("invalid"));
    EXPECT_THAT(objects_in("{\"a\":\"" + std::string(300, 'x') + "\"}", 7), ElementsAre("invalid"));
    std::string deep;
    for (int i = 0; i < 70; ++i) {
        deep += "{\"\":";
    }
    EXPECT_THAT(objects_in("{\"a\":" + std::string(90, '[') + std::string(90, ']') + "}", 500),
                ElementsAre("invalid"));
    EXPECT_THAT(objects_in(deep, 1), ElementsAre("invalid"));
}

TEST(JsonStream, StopsWhenToldTo) {
    JsonStream stream;
    int seen = 0;
    const auto fed = stream.feed("{}{}{}", [&](const nlohmann::json&) { return ++seen < 2; });
    EXPECT_TRUE(fed && !*fed);
    EXPECT_EQ(seen, 2);
}

std::string frame(char stream, const std::string& text) {
    std::string out{stream, 0, 0, 0, 0, 0, 0, static_cast<char>(text.size())};
    return out + text;
}

TEST(FrameReader, PassesOnWhatEachStreamSays) {
    const std::string bytes = frame(1, "one\n") + frame(2, "oops\n") + frame(1, "") + frame(1, "2");
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        FrameReader reader;
        std::string out;
        std::string err;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            const auto fed = reader.feed(std::string_view(bytes).substr(at, step),
                                         [&](Stream stream, std::string_view text) {
                                             (stream == Stream::out ? out : err) += text;
                                             return true;
                                         });
            ASSERT_TRUE(fed && *fed);
        }
        EXPECT_EQ(out, "one\n2");
        EXPECT_EQ(err, "oops\n");
    }
}

TEST(FrameReader, RefusesWhatIsNoHeaderAndKeepsNothingOfALargeFrame) {
    const auto nothing = [](Stream, std::string_view) { return true; };
    EXPECT_EQ(FrameReader().feed("hello world", nothing).error().code, Code::invalid);
    EXPECT_EQ(FrameReader().feed(frame(3, "x"), nothing).error().code, Code::invalid);
    FrameReader reader;
    std::size_t seen = 0;
    const auto count = [&](Stream, std::string_view text) {
        seen += text.size();
        return true;
    };
    EXPECT_TRUE(reader.feed(std::string("\1\0\0\0\xff\xff\xff\xff", 8), count));
    for (int i = 0; i < 4; ++i) {
        EXPECT_TRUE(reader.feed(std::string(1 << 20, 'x'), count));
    }
    EXPECT_EQ(seen, 4U << 20U);
}

TEST(Json, WhatIsOfAnotherKindReadsAsEmpty) {
    const auto value = parse_json(R"({"a": 1, "b": "x", "c": {"d": null, "e": "y"}, "f": 1.5})");
    ASSERT_TRUE(value);
    EXPECT_EQ(text_of(*value, "a"), "");
    EXPECT_EQ(number_of(*value, "a"), 1);
    EXPECT_EQ(number_of(*value, "b"), 0);
    EXPECT_EQ(number_of(*value, "f"), 0);
    EXPECT_FALSE(flag_of(*value, "b"));
    EXPECT_EQ(texts_of(*value, "c"), (std::map<std::string, std::string>{{"e", "y"}}));
    EXPECT_TRUE(texts_of(member(member(*value, "b"), "q"), "r").empty());
}

}    // namespace
}    // namespace seatrial::docker
