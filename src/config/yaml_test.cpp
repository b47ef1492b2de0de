#include "config/yaml.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <ctime>
#include <fstream>

namespace seatrial::config {
namespace {

using testing::HasSubstr;

// Sanitizers slow everything down and keep freed memory for a while.
#if defined(__SANITIZE_ADDRESS__)
constexpr int slowness = 10;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int slowness = 10;
#else
constexpr int slowness = 1;
#endif
#else
constexpr int slowness = 1;
#endif

std::string times(std::string_view text, std::size_t count) {
    std::string out;
    out.reserve(text.size() * count);
    while (count-- > 0) {
        out += text;
    }
    return out;
}

// The first fault of a document that is refused as a whole.
Fault refusal(std::string_view text) {
    const auto document = parse_yaml(text, "f.yaml");
    EXPECT_FALSE(document.complete) << excerpt(text);
    EXPECT_TRUE(document.root.children.empty());
    return document.faults.empty() ? Fault{} : document.faults.back();
}

Node tree(std::string_view text) {
    auto document = parse_yaml(text, "f.yaml");
    for (const auto& fault : document.faults) {
        ADD_FAILURE() << render_fault(fault);
    }
    return document.root;
}

TEST(Yaml, KeepsTextAsWrittenWithItsLine) {
    const Node root = tree("a: 012\nb: yes\nc: \"12\"\nd: ~\ne:\n  - x\n  - {k: v}\n");
    EXPECT_EQ(root.find("a")->text, "012");
    EXPECT_EQ(root.find("b")->text, "yes");
    EXPECT_FALSE(root.find("b")->quoted);
    EXPECT_TRUE(root.find("c")->quoted);
    EXPECT_EQ(root.find("d")->kind, Node::Kind::null);
    const Node* list = root.find("e");
    ASSERT_TRUE(list->is_list());
    EXPECT_EQ(list->key_line, 5);
    EXPECT_EQ(list->children[1].line, 7);
    EXPECT_EQ(list->children[1].find("k")->text, "v");
    EXPECT_EQ(root.find("absent"), nullptr);
}

TEST(Yaml, EmptyFilesAreEmptyMaps) {
    for (const char* text : {"", "\n\n", "# only a comment", "---\n", "\xEF\xBB\xBF"}) {
        const Node root = tree(text);
        EXPECT_TRUE(root.is_map()) << text;
        EXPECT_TRUE(root.children.empty()) << text;
    }
}

TEST(Yaml, BlockScalarsAndWindowsLinesWork) {
    const Node root = tree("a: |\n  one\n  two\nb: >-\r\n  x\r\n  y\r\nc: 1\r\n");
    EXPECT_EQ(root.find("a")->text, "one\ntwo\n");
    EXPECT_EQ(root.find("b")->text, "x y");
    EXPECT_EQ(root.find("c")->text, "1");
    EXPECT_EQ(tree("a: |\n  one").find("a")->text, "one\n");
}

TEST(Yaml, AliasesAndMergeKeysAreExpanded) {
    const Node root = tree(
        "base: &base {port: A, health: /}\n"
        "other: &other {port: B, cwd: x}\n"
        "web: {<<: *base, port: C}\n"
        "api:\n  <<: [*base, *other]\n"
        "again: &again {<<: *base}\n"
        "nested: {<<: *again}\n"
        "plain: *base\n");
    EXPECT_EQ(root.find("web")->find("port")->text, "C");
    EXPECT_EQ(root.find("web")->find("health")->text, "/");
    EXPECT_EQ(root.find("web")->find("<<"), nullptr);
    EXPECT_EQ(root.find("api")->find("port")->text, "A");
    EXPECT_EQ(root.find("api")->find("cwd")->text, "x");
    EXPECT_EQ(root.find("nested")->find("port")->text, "A");
    EXPECT_EQ(root.find("plain")->find("port")->text, "A");
    EXPECT_THAT(refusal("a: {<<: text}\n").message, HasSubstr("merge key"));
}

TEST(Yaml, DoubledKeysAreAllReportedWithBothLines) {
    const auto document = parse_yaml("a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yaml");
    EXPECT_TRUE(document.complete);
    ASSERT_EQ(document.faults.size(), 2U);
    EXPECT_EQ(document.faults[0].key, "b.c");
    EXPECT_EQ(document.faults[1].key, "a");
    EXPECT_EQ(document.faults[1].line, 3);
    EXPECT_THAT(document.faults[1].message, HasSubstr("first in line 1"));
    EXPECT_EQ(document.root.find("a")->text, "1");
}

struct Refused {
    std::string text;
    int line;
    std::string message;
};
class YamlRefuses : public testing::TestWithParam<Refused> {};
TEST_P(YamlRefuses, WithLineAndReason) {
    const auto fault = refusal(GetParam().text);
    EXPECT_EQ(fault.line, GetParam().line) << render_fault(fault);
    EXPECT_THAT(fault.message, HasSubstr(GetParam().message));
    EXPECT_FALSE(fault.remedy.empty());
}
INSTANTIATE_TEST_SUITE_P(
    All, YamlRefuses,
    testing::Values(Refused{"a: 1\nb: \xff\n", 2, "UTF-8"},
                    Refused{"a: 1\n\nb: \xc0\xaf\n", 3, "UTF-8"},
                    Refused{"a: \xed\xa0\x80\n", 1, "UTF-8"},
                    Refused{std::string("a: 1\nb: x\0y\n", 11), 2, "control character"},
                    Refused{"a: 1\x04\nb: 2\n", 1, "control character"},
                    Refused{std::string("\0a\0:\0 \0b", 8), 1, "control character"},
                    Refused{"a: 1\n---\nb: 2\n", 2, "second YAML document"},
                    Refused{"? [a]\n: b\n", 1, "where a key is expected"},
                    Refused{"? {a: b}\n: c\n", 1, "where a key is expected"},
                    Refused{": b\n", 1, "key is missing"}, Refused{"'': b\n", 1, "key is empty"},
                    Refused{"a: &x 1\n*x : 2\n", 2, "where a key is expected"},
                    Refused{"a: !!binary aGk=\n", 1, "tag"}, Refused{"a: !cmd x\n", 1, "tag"},
                    Refused{"a: *nobody\n", 1, "without its anchor"},
                    Refused{"a: &a [*a]\n", 1, "refers to the value it stands in"},
                    Refused{"a:\n\tb: 1\n", 2, "tab"}, Refused{"a:\n  b: 1\n\tc: 2\n", 3, "tab"},
                    Refused{"a: 'open\n", 2, "quote"}, Refused{"a: \"open\n", 2, "quote"},
                    Refused{"a: [1, 2\nb: 3\n", 2, "not closed"},
                    Refused{"run: echo a: b\n", 1, "': '"}, Refused{"a: @x\n", 1, "cannot start"},
                    Refused{"a: `x`\n", 1, "cannot start"}));

// CPU time and memory of refusing or reading `text`.
void expect_cheap(std::string_view what, const std::string& text) {
    const auto cpu_ms = [] { return std::clock() * 1000 / CLOCKS_PER_SEC; };
    const auto peak_kb = [] {
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss;
    };
    const auto memory = peak_kb();
    const auto start = cpu_ms();
    const auto document = parse_yaml(text, "f.yaml");
    EXPECT_LT(cpu_ms() - start, 100 * slowness) << what;
    EXPECT_LT(peak_kb() - memory, (64 << 10) * slowness) << what;
    for (const auto& fault : document.faults) {
        EXPECT_LT(fault.message.size() + fault.key.size() + fault.remedy.size(), 8000U) << what;
    }
}

TEST(Yaml, HostileInputEndsQuicklyInLittleMemory) {
    constexpr std::size_t full = yaml_size_limit;
    expect_cheap("100 MB", std::string(100 << 20, 'a'));
    EXPECT_THAT(refusal(std::string(100 << 20, 'a')).message, HasSubstr("limit is 256 KB"));
    for (const std::string_view unit :
         {"[",      "{",          "- ",        "? ",           "a: ",        "a\n",
          "- a\n",  "a,",         ",",         "''\n",         "'",          "\"",
          "!a ",    "&a ",        "*a ",       "%a\n",         "---\n",      "...\n",
          " ",      "\n",         "\r",        "\t",           "#",          "a",
          "[\"\":", "{a: [",      ":",         ": ",           "[:,",        "]",
          "|\n",    "a: |\n x\n", "- - - a\n", "<<: {a: b}\n", "\"\\x41\"\n"}) {
        for (const std::string_view start : {"", "a: [", "a: \"b"}) {
            expect_cheap(std::string(start) + std::string(unit),
                         std::string(start) + times(unit, (full - 8) / unit.size()));
        }
    }
    std::string keys;
    for (int i = 0; keys.size() < full - 20; ++i) {
        keys += "k" + std::to_string(i % 5000) + ": v\n";
    }
    expect_cheap("doubled keys", keys);
    std::string steps;
    for (std::size_t i = 0; steps.size() + i + 5 < full; ++i) {
        steps += std::string(i, ' ') + "a:\n";
    }
    expect_cheap("stairs", steps);
}

TEST(Yaml, NestingIsCapped) {
    EXPECT_TRUE(parse_yaml("a: " + times("[", 99) + times("]", 99), "f").complete);
    EXPECT_THAT(refusal("a: " + times("[", 100) + times("]", 100)).message,
                HasSubstr("100 levels"));
    EXPECT_THAT(refusal(times("[", 5000) + times("]", 5000)).message, HasSubstr("100 levels"));
    EXPECT_THAT(refusal("a: " + times("{a: ", 5000)).message, HasSubstr("100 levels"));
    // Sixty levels, again and again through aliases.
    std::string chain = "a0: &a0 " + times("[", 60) + times("]", 60) + "\n";
    for (int i = 1; i < 1000; ++i) {
        chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " " + times("[", 60) +
                 "*a" + std::to_string(i - 1) + times("]", 60) + "\n";
    }
    EXPECT_THAT(refusal(chain).message, HasSubstr("through aliases"));
}

TEST(Yaml, AliasBombsAreCapped) {
    std::string laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (int i = 1; i < 10; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
        laughs += times(", " + before, 8) + "]\n";
    }
    expect_cheap("billion laughs", laughs);
    EXPECT_THAT(refusal(laughs).message, HasSubstr("too large"));
    // One long text, many aliases: few nodes, many bytes.
    const std::string text =
        "a: &a " + std::string(100'000, 'x') + "\nb: [*a" + times(", *a", 10'000) + "]\n";
    expect_cheap("long text", text);
    EXPECT_THAT(refusal(text).message, HasSubstr("too large"));
    const std::string wide = "a: &a {b: &b {c: 1}}\nd: [*a" + times(", *a", 50'000) + "]\n";
    expect_cheap("wide", wide);
    EXPECT_THAT(refusal(wide).message, HasSubstr("too large"));
}

}    // namespace
}    // namespace seatrial::config
