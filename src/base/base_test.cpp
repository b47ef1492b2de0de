#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <latch>
#include <thread>

#include "base/clock.h"
#include "base/context.h"
#include "base/file.h"
#include "base/names.h"
#include "base/text.h"

namespace seatrial {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

const std::string digest(64, 'a');

TEST(NamesTest, AnyTextBecomesASafeName) {
    for (const std::string& text :
         {"PROJ-123", "feature/x_y", "$(reboot)", "'; DROP DATABASE x", "../../etc", "-", "",
          "한국어", "\xE2\x80\xAE", "--upload-pack=x", "a\nb", "UPPER", "trailing-"}) {
        const std::string name = make_name("abcdef", text, digest);
        EXPECT_TRUE(is_our_name("abcdef", name)) << name;
        EXPECT_LE(name.size(), 48U);
        EXPECT_THAT(name, Not(HasSubstr("--"))) << name;
    }
    const std::string longest = make_name("abcdef", std::string(500, 'x'), digest);
    EXPECT_EQ(longest.size(), 48U);
}

TEST(NamesTest, EqualSlugsDifferByTheirDigest) {
    EXPECT_NE(make_name("abcdef", "a", std::string(64, '1')),
              make_name("abcdef", "a", std::string(64, '2')));
}

TEST(NamesTest, OtherPeoplesNamesAreNotOurs) {
    EXPECT_FALSE(is_our_name("abcdef", "st-zzzzzz-web-aaaaaaaaaaaa"));
    EXPECT_FALSE(is_our_name("abcdef", "st-abcdef-"));
    EXPECT_FALSE(is_our_name("abcdef", "st-abcdef-../x"));
    EXPECT_FALSE(is_our_name("abcdef", "production"));
    EXPECT_FALSE(is_our_name("abcdef", "st-abcdef-" + std::string(60, 'x')));
}

TEST(NamesTest, UlidsSortByTime) {
    EXPECT_LT(make_ulid(1'000, ~0ULL, ~0ULL), make_ulid(1'001, 0, 0));
    EXPECT_EQ(make_ulid(0, 0, 0), std::string(26, '0'));
    EXPECT_EQ(make_ulid(281474976710655, ~0ULL, ~0ULL), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
}

TEST(NamesTest, LabelsArePlainText) {
    EXPECT_TRUE(check_label("key", "PROJ-1 with space", 250));
    EXPECT_TRUE(check_label("key", "이슈-1", 250));
    for (const std::string& bad :
         {std::string(), std::string("-x"), std::string("a\x01"),
          std::string("a\xE2\x80\xAE"
                      "b"),
          std::string("\xFF"), std::string(251, 'x'), std::string("a\0b", 3)}) {
        EXPECT_FALSE(check_label("key", bad, 250)) << printable(bad);
    }
}

TEST(TextTest, Utf8IsCheckedStrictly) {
    EXPECT_TRUE(is_valid_utf8("aé한😀"));
    for (const char* bad : {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE2\x82"}) {
        EXPECT_FALSE(is_valid_utf8(bad));
    }
}

TEST(TextTest, TerminalsGetNoControlCharacters) {
    EXPECT_EQ(printable("a\x1b[31mb\nc"), "a?[31mb?c");
    EXPECT_EQ(printable("a\nb", true), "a\nb");
    EXPECT_EQ(printable("x\xFFy"), "x?y");
}

TEST(TextTest, SuggestsTheClosestWord) {
    EXPECT_EQ(suggest("compnents", {"components", "install"}), "components");
    EXPECT_EQ(suggest("zebra", {"components", "install"}), std::nullopt);
}

TEST(ClockTest, TimesAndDurationsSurviveTheirText) {
    const auto time = parse_time("2026-02-28T23:59:59.123Z");
    ASSERT_TRUE(time);
    EXPECT_EQ(render_time(*time), "2026-02-28T23:59:59.123Z");
    EXPECT_FALSE(parse_time("2026-02-28"));
    EXPECT_EQ(*parse_duration("1h30m"), milliseconds(5'400'000));
    EXPECT_EQ(*parse_duration("7d"), milliseconds(7LL * 86'400'000));
    for (const char* bad : {"", "5", "h", "-1h", "1x", "99999999999999999999h", "1h "}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
    EXPECT_EQ(render_duration(milliseconds(2'310)), "2.31 s");
}

TEST(ContextTest, CancellingReachesEveryContextBelow) {
    CancelSource parent;
    const CancelSource child(parent.context());
    const Context ctx = child.context().with_timeout(std::chrono::minutes(1));
    EXPECT_TRUE(ctx.ok());
    parent.cancel();
    EXPECT_EQ(ctx.ok().error().code, Code::cancelled);
    EXPECT_TRUE(CancelSource(parent.context()).context().cancelled());
}

TEST(ContextTest, AWaitEndsWithTheCancellation) {
    CancelSource source;
    std::latch waiting(1);
    std::thread canceller([&] {
        waiting.wait();
        source.cancel();
    });
    waiting.count_down();
    const auto waited = wait_for(std::chrono::minutes(1), source.context());
    canceller.join();
    ASSERT_FALSE(waited);
    EXPECT_EQ(waited.error().code, Code::cancelled);
}

TEST(ContextTest, AWaitEndsAtTheDeadlineAndASleepIsNoError) {
    const Context ctx = Context().with_timeout(milliseconds(5));
    EXPECT_EQ(wait_for(std::chrono::minutes(1), ctx).error().code, Code::timed_out);
    EXPECT_TRUE(wait_for(milliseconds(1), Context()));
}

TEST(FileTest, AnAtomicWriteLeavesOldOrNew) {
    std::string folder = testing::TempDir() + "/base-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::filesystem::path file = std::filesystem::path(folder) / "file";
    ASSERT_TRUE(write_file_atomic(file, "one", 0600));
    ASSERT_TRUE(write_file_atomic(file, "two", 0600));
    EXPECT_EQ(*read_file(file, 10), "two");
    EXPECT_EQ(read_file(file, 2).error().code, Code::invalid);
    EXPECT_EQ(read_file(file.string() + "x", 2).error().code, Code::not_found);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
    EXPECT_TRUE(make_dirs(std::filesystem::path(folder) / "a/b/c"));
    EXPECT_FALSE(make_dirs(file / "below"));
    std::filesystem::remove_all(folder);
}

TEST(ResultTest, ACauseIsToldBehindItsOutcome) {
    const Error error =
        wrap(Error{Code::unavailable, "inner", "do this", "", nullptr}, "outer").value();
    EXPECT_EQ(render_error(error), "outer: inner");
    EXPECT_EQ(error.hint, "do this");
    EXPECT_EQ(error.code, Code::unavailable);
    EXPECT_EQ(fail_errno("write", ENOSPC).value().code, Code::unavailable);
}

}    // namespace
}    // namespace seatrial
