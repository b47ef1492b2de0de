#include "config/env_file.h"

#include <gmock/gmock.h>

namespace seatrial::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::map<std::string, std::string> values(std::string_view text) {
    const auto parsed = parse_env_file(text, ".env");
    for (const auto& fault : parsed.faults) {
        ADD_FAILURE() << render_fault(fault);
    }
    std::map<std::string, std::string> out;
    for (const auto& [name, entry] : parsed.value) {
        out[name] = entry.value;
    }
    return out;
}
using Map = std::map<std::string, std::string>;

TEST(EnvFile, ReadsTheUsualForms) {
    EXPECT_EQ(values("A=1\n# comment\n\nexport B=two words  \nC = spaced\r\nD=\nE=a=b\n"),
              (Map{{"A", "1"}, {"B", "two words"}, {"C", "spaced"}, {"D", ""}, {"E", "a=b"}}));
    EXPECT_EQ(values("A='$x \\n # \"'\nB=\"a\\nb\\t\\\"\\\\\\$\\q\" # note\nC=x # note\nD=x#y\n"),
              (Map{{"A", "$x \\n # \""}, {"B", "a\nb\t\"\\$\\q"}, {"C", "x"}, {"D", "x#y"}}));
    EXPECT_EQ(values("\xEF\xBB\xBF"
                     "A=1"),
              (Map{{"A", "1"}}));
    EXPECT_EQ(values("A=\"one\ntwo\r\n\"\nB='x\ny'\n"), (Map{{"A", "one\ntwo\n"}, {"B", "x\ny"}}));
    EXPECT_EQ(values("exported=1\nexport\tA=2\n"), (Map{{"exported", "1"}, {"A", "2"}}));
}

TEST(EnvFile, ExpandsAndRunsNothing) {
    EXPECT_EQ(values("A=$HOME\nB=\"${HOME}\"\nC=$(touch x)\nD=`id`\n"),
              (Map{{"A", "$HOME"}, {"B", "${HOME}"}, {"C", "$(touch x)"}, {"D", "`id`"}}));
}

TEST(EnvFile, NamesEveryFaultWithItsLineAndNeverAValue) {
    const auto parsed = parse_env_file(
        "A=1\nsecret without equals\n1B=hunter2\nC=\"hunter2\" hunter2\nA=2\nD='open hunter2\n",
        ".env");
    ASSERT_EQ(parsed.faults.size(), 5U);
    const int expected[] = {2, 3, 4, 5, 6};
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(parsed.faults[i].line, expected[i]);
        EXPECT_THAT(render_fault(parsed.faults[i]),
                    AllOf(Not(HasSubstr("hunter2")), Not(HasSubstr("secret"))));
    }
    EXPECT_TRUE(parsed.faults[3].warning);
    EXPECT_EQ(parsed.value.at("A").value, "2");
    EXPECT_EQ(parsed.value.at("A").line, 5);
}

TEST(EnvFile, HostileFilesAreRefused) {
    EXPECT_THAT(parse_env_file(std::string(2 << 20, 'a'), "f").faults[0].message,
                HasSubstr("1 MB"));
    const auto bytes = parse_env_file("A=1\nB=\xff\n", "f");
    EXPECT_EQ(bytes.faults[0].line, 2);
    EXPECT_THAT(bytes.value, IsEmpty());
    EXPECT_FALSE(parse_env_file(std::string("A=1\nB=\0x\n", 9), "f").ok());
    std::string many;
    for (int i = 0; i < 10'050; ++i) {
        many += "A" + std::to_string(i) + "=x\n";
    }
    const auto parsed = parse_env_file(many, "f");
    EXPECT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.value.size(), 10'000U);
    EXPECT_LE(
        parse_env_file(std::string(500'000, '\n') + std::string(1000, 'x'), "f").faults.size(),
        100U);
    std::string bad;
    for (int i = 0; i < 5000; ++i) {
        bad += "bad\n";
    }
    EXPECT_LE(parse_env_file(bad, "f").faults.size(), 100U);
}

TEST(Template, ReplacesOnceAndNamesTheClosest) {
    const Map known = {{"WEB_PORT", "5100"}, {"X", "${WEB_PORT}$$"}};
    EXPECT_EQ(expand_template("http://h:${WEB_PORT}/", known), "http://h:5100/");
    EXPECT_EQ(expand_template("${X}", known), "${WEB_PORT}$$");
    EXPECT_EQ(expand_template("$$5 $x 5$ $${X}", known), "$5 $x 5$ ${X}");
    EXPECT_EQ(expand_template("", known), "");
    const auto unknown = expand_template("${WEB_PROT}", known);
    ASSERT_FALSE(unknown.has_value());
    EXPECT_THAT(unknown.error().hint, HasSubstr("${WEB_PORT}"));
    for (const char* bad : {"${", "${X", "${}", "${a b}", "${X:-1}", "a ${1}"}) {
        EXPECT_FALSE(expand_template(bad, known).has_value()) << bad;
        EXPECT_FALSE(template_variables(bad).has_value()) << bad;
    }
    EXPECT_THAT(*template_variables("${A}$${B}${C}${A}"), ElementsAre("A", "C"));
    std::string bomb;
    for (int i = 0; i < 2000; ++i) {
        bomb += "${X}";
    }
    EXPECT_THAT(expand_template(bomb, {{"X", std::string(1000, 'x')}}).error().message,
                HasSubstr("1 MB"));
}

std::vector<std::string> lines(const std::vector<Fault>& faults) {
    std::vector<std::string> out;
    for (const auto& fault : faults) {
        out.push_back(render_fault(fault));
    }
    return out;
}

TEST(EnvCheck, EveryFaultAtOnce) {
    const std::vector<EnvRule> rules = {
        {.name = "SECRET", .required = true, .secret = true, .pattern = ".{8,}"},
        {.name = "PORT", .type = "port"},
        {.name = "LEVEL", .values = {"debug", "info"}},
        {.name = "URL", .required = true, .type = "url"},
        {.name = "EMPTY", .required = true, .description = "the token"},
        {.name = "SET", .required = true, .value = "x"},
        {.name = "LATER", .required = true, .type = "url", .value = "${WEB_URL}"},
        {.name = "N", .type = "integer"},
        {.name = "B", .type = "boolean"},
    };
    const auto faults = lines(check_env(rules, {{"SECRET", "hunter2"},
                                                {"PORT", "0"},
                                                {"LEVEL", "debg"},
                                                {"URLL", "http://x"},
                                                {"EMPTY", ""},
                                                {"N", "1.5"},
                                                {"B", "maybe"}}));
    EXPECT_THAT(faults,
                ElementsAre(AllOf(HasSubstr("SECRET"), Not(HasSubstr("hunter2"))),
                            HasSubstr("PORT: '0' is not a port"),
                            AllOf(HasSubstr("LEVEL: 'debg'"), HasSubstr("'debug'?")),
                            AllOf(HasSubstr("URL: has no value"), HasSubstr("did you mean URLL")),
                            AllOf(HasSubstr("EMPTY: is empty"), HasSubstr("the token")),
                            HasSubstr("N: '1.5'"), HasSubstr("B: 'maybe'")));
    EXPECT_THAT(check_env(rules, {{"SECRET", "hunter2hunter2"},
                                  {"URL", "https://x"},
                                  {"EMPTY", "x"},
                                  {"PORT", "65535"},
                                  {"LEVEL", "info"},
                                  {"N", "-3"},
                                  {"B", "true"}}),
                IsEmpty());
}

TEST(EnvCheck, RequiredOnlyWhenAnotherVariableAsksForIt) {
    const std::vector<EnvRule> rules = {{.name = "DSN", .required_if = "SENTRY=on"},
                                        {.name = "KEY", .required_if = "CERT"},
                                        {.name = "SENTRY", .value = "off"}};
    EXPECT_THAT(check_env(rules, {}), IsEmpty());
    EXPECT_THAT(check_env(rules, {{"SENTRY", "On"}, {"CERT", ""}}), IsEmpty());
    EXPECT_THAT(lines(check_env(rules, {{"SENTRY", "on"}, {"CERT", "x"}}, "ask alice")),
                ElementsAre(HasSubstr("DSN: has no value, which SENTRY=on asks for (ask alice)"),
                            HasSubstr("KEY: has no value, which CERT asks for")));
    EXPECT_THAT(check_env(rules, {{"SENTRY", "on"}, {"DSN", "x"}}), IsEmpty());
}

TEST(EnvCheck, CatastrophicPatternsEndQuickly) {
    const std::vector<EnvRule> rules = {{.name = "A", .pattern = "(a*)*(a*)*(a*)*b"}};
    EXPECT_EQ(check_env(rules, {{"A", std::string(100'000, 'a')}}).size(), 1U);
}

}    // namespace
}    // namespace seatrial::config
