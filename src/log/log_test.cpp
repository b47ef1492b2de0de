#include "log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"

namespace seatrial::log {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

static_assert(!std::is_constructible_v<Value, Secret>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);

class LogTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string made = ::testing::TempDir() + "st-log-XXXXXX";
        ASSERT_NE(::mkdtemp(made.data()), nullptr);
        folder_ = made;
        file_ = folder_ / "log";
    }
    void TearDown() override {
        ASSERT_TRUE(open({}));
        std::filesystem::remove_all(folder_);
    }
    void start(Level level, Format format) {
        const auto opened = open({level, format, file_});
        ASSERT_TRUE(opened) << render_error(opened.error());
    }
    std::string text() const { return read_file(file_, 64 << 20).value_or("unreadable"); }
    std::filesystem::path folder_;
    std::filesystem::path file_;
};

TEST_F(LogTest, LogfmtLineIsThereWhenTheCallReturns) {
    start(Level::info, Format::logfmt);
    info("preview started", {{"issue", "DEMO-1"}, {"ms", 42}, {"again", false}, {"load", 0.5}});
    EXPECT_THAT(text(), HasSubstr(" level=info msg=\"preview started\" issue=DEMO-1 ms=42 "
                                  "again=false load=0.5\n"));
    EXPECT_EQ(text().rfind("time=", 0), 0u);
}

TEST_F(LogTest, JsonEscapesAndKeepsTypes) {
    start(Level::info, Format::json);
    const std::string value = "a\"b\\c\td\ne";
    info("x", {{"text", value}, {"n", -1}, {"big", std::uint32_t{7}}, {"inf", 1e308 * 10}});
    EXPECT_THAT(text(), HasSubstr(R"("level":"info","msg":"x","text":"a\"b\\c\td?e","n":-1,)"
                                  R"("big":7,"inf":null})"
                                  "\n"));
    EXPECT_EQ(text().rfind("{\"time\":\"", 0), 0u);
}

TEST_F(LogTest, OutsideTextCannotForgeALineOrAField) {
    start(Level::info, Format::logfmt);
    info("got branch", {{"branch", "x\nlevel=error msg=forged\x1b[31m"}, {"other", "a=b c"}});
    const auto all = text();
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1);
    EXPECT_THAT(all, HasSubstr("branch=\"x?level=error msg=forged?[31m\" other=\"a=b c\"\n"));
    EXPECT_THAT(all, Not(HasSubstr("\x1b")));
}

TEST_F(LogTest, LevelIsALimit) {
    start(Level::warn, Format::logfmt);
    EXPECT_FALSE(enabled(Level::info));
    debug("no");
    info("no");
    warn("yes");
    error("yes");
    const auto all = text();
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 2);
    start(Level::off, Format::logfmt);
    error("never");
    EXPECT_THAT(text(), Not(HasSubstr("never")));
}

TEST_F(LogTest, ErrorsBringCodeCauseAndHint) {
    start(Level::info, Format::logfmt);
    const auto inner = fail(Code::unavailable, "no server", "start it").value();
    const auto outer = wrap(inner, "clone").value();
    error("node failed", outer, {{"node", "db"}});
    EXPECT_THAT(text(), HasSubstr("node=db code=unavailable error="));
    EXPECT_THAT(text(), HasSubstr("clone: no server"));
}

TEST_F(LogTest, ManyThreadsWriteWholeLines) {
    start(Level::info, Format::logfmt);
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([i] {
            for (int j = 0; j < 500; ++j) {
                info("tick", {{"thread", i}, {"pad", std::string(50, 'p')}});
            }
        });
    }
    // Reopened under way, as on a rotation.
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(open({Level::info, Format::logfmt, file_}));
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const auto all = text();
    int whole = 0;
    for (const auto line : split(all, '\n')) {
        whole += line.starts_with("time=") && line.ends_with("pad=" + std::string(50, 'p'));
    }
    EXPECT_EQ(whole, 4000);
}

TEST_F(LogTest, FileIsNotForEverybodyAndLinksAreRefused) {
    start(Level::info, Format::logfmt);
    struct stat seen{};
    ASSERT_EQ(::stat(file_.c_str(), &seen), 0);
    EXPECT_EQ(seen.st_mode & 07, 0u);
    const auto link = folder_ / "link";
    std::filesystem::create_symlink(file_, link);
    EXPECT_FALSE(open({Level::info, Format::logfmt, link}));
    info("still here");
    EXPECT_THAT(text(), HasSubstr("still here"));
}

TEST(LogSettings, NamesAndMistakes) {
    EXPECT_EQ(parse_level("warn").value(), Level::warn);
    EXPECT_EQ(parse_level("WARN").error().code, Code::invalid);
    EXPECT_EQ(parse_format("json").value(), Format::json);
    EXPECT_THAT(parse_format("xml").error().hint, HasSubstr("logfmt"));
}

}    // namespace
}    // namespace seatrial::log
