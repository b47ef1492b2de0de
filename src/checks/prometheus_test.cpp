#include "checks/prometheus.h"

#include <gtest/gtest.h>

namespace seatrial::checks {
namespace {

std::string vector(const std::string& series) {
    return R"({"status":"success","data":{"resultType":"vector","result":[)" + series + "]}}";
}

TEST(Prometheus, OneFigure) {
    const auto value = parse_prometheus(vector(R"({"metric":{},"value":[1.5,"0.97"]})"));
    ASSERT_TRUE(value);
    EXPECT_DOUBLE_EQ(*value, 0.97);
    const auto scalar = parse_prometheus(
        R"({"status":"success","data":{"resultType":"scalar","result":[1.5,"1"]}})");
    ASSERT_TRUE(scalar);
    EXPECT_DOUBLE_EQ(*scalar, 1);
}

TEST(Prometheus, WhatIsNoFigure) {
    struct Row {
        std::string body;
        Code code;
    };
    const std::string one = R"({"metric":{},"value":[1.5,"1"]})";
    const Row rows[] = {
        {vector(""), Code::not_found},
        {vector(R"({"metric":{},"value":[1.5,"NaN"]})"), Code::not_found},
        {vector(one + "," + one), Code::invalid},
        {vector(R"({"metric":{},"value":[1.5]})"), Code::invalid},
        {vector(R"({"metric":{},"value":[1.5,1]})"), Code::invalid},
        {vector(R"({"metric":{},"value":[1.5,"1x"]})"), Code::invalid},
        {vector("7"), Code::invalid},
        {R"({"status":"error","errorType":"bad_data","error":"parse error"})", Code::invalid},
        {R"({"status":"success","data":[]})", Code::invalid},
        {R"({"status":"success"})", Code::invalid},
        {R"({"status":"success","data":{"resultType":"matrix","result":[]}})", Code::invalid},
        {"[]", Code::invalid},
        {"<html>", Code::invalid},
        {"", Code::invalid},
        {std::string(100'000, '['), Code::invalid},
    };
    for (const auto& row : rows) {
        const auto value = parse_prometheus(row.body);
        ASSERT_FALSE(value) << row.body.substr(0, 100);
        EXPECT_EQ(value.error().code, row.code) << row.body.substr(0, 100);
    }
    const auto refused = parse_prometheus(rows[7].body);
    EXPECT_EQ(refused.error().message, "Prometheus refuses the query: parse error");
}

TEST(Prometheus, NobodyThere) {
    const auto value = ask_prometheus("http://127.0.0.1:1", "up", Context());
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, Code::unavailable);
}

}    // namespace
}    // namespace seatrial::checks
