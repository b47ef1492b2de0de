#include "release/variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace seatrial::release {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class VariablesTest : public testing::Test {
protected:
    std::string file(const std::string& name, const std::string& text) {
        const auto path = folder_.path() / name;
        EXPECT_TRUE(write_file_atomic(path, text, 0600));
        return path.string();
    }
    config::Environment environment(const std::string& name, const std::string& text) {
        config::Environment out;
        out.name = name;
        out.release.listen = {"4400"};
        out.release.env_files = {file(".env." + name, text)};
        return out;
    }
    static std::vector<std::string> lines(const std::vector<config::Fault>& faults) {
        std::vector<std::string> out;
        for (const auto& fault : faults) {
            out.push_back(config::render_fault(fault));
        }
        return out;
    }
    test::TempDir folder_;
};

std::vector<config::Fault> check(const config::App& app, const Content& content,
                                 const std::map<std::string, std::string>& built,
                                 const config::Environment& environment) {
    Reader reader({}, Context());
    return check_variables(app, content, built, environment, reader).value();
}

Result<std::map<std::string, std::string>> values_of(const config::App& app,
                                                     const config::Server& server) {
    Reader reader({}, Context());
    return build_values(app, server, reader);
}

// Answers with its place in A and its config in B; without a place it is down.
class Echo : public secrets::Source {
public:
    explicit Echo(int* asked) : asked_(asked) {}
    Result<secrets::Values> read(const config::SecretSource& from, const Context&) const override {
        ++*asked_;
        if (from.place.empty()) {
            return fail(Code::unavailable, "down", "wait");
        }
        return secrets::Values{{"A", Secret(from.place)}, {"B", Secret(from.config)}};
    }

private:
    int* asked_;
};

config::SecretSource echo(const std::string& place, const std::string& config = "") {
    config::SecretSource out;
    out.kind = "echo";
    out.place = place;
    out.config = config;
    return out;
}

Content two_parts() {
    Content out;
    out.tag = "1.0-a";
    out.components.resize(2);
    out.components[0].name = "web";
    out.components[1].name = "api";
    out.components[1].env = {{"API_PORT", "8080"}};
    return out;
}

TEST_F(VariablesTest, LaterFilesWinAndTheServersFileOverAll) {
    const auto one = file("one", "A=1\nB=1\nC=1\n");
    const auto two = file("two", "\nB=2\nC=2\n");
    const auto read = read_variables({one, two}, {{"C", "3"}});
    EXPECT_THAT(read.faults, IsEmpty());
    EXPECT_EQ(read.values.at("A").value.reveal(), "1");
    EXPECT_EQ(read.values.at("B").value.reveal(), "2");
    EXPECT_EQ(read.values.at("B").file, two);
    EXPECT_EQ(read.values.at("B").line, 2);
    EXPECT_EQ(read.values.at("C").value.reveal(), "3");
    EXPECT_EQ(read.values.at("C").file, "");
}

TEST_F(VariablesTest, EveryFaultHasItsPlaceAndNoValue) {
    config::App app;
    app.env = {
        {.name = "DATABASE_URL", .required = true, .type = "url"},
        {.name = "LEVEL", .values = {"info"}},
        {.name = "SENTRY_DSN", .required_if = "SENTRY=on"},
        {.name = "OTHER_DSN", .required_if = "SENTRY=off"},
        {.name = "API_PORT", .required = true, .components = {"api"}, .type = "port"},
        {.name = "DEFAULTED", .required = true, .value = "x"},
    };
    auto stg = environment("stg", "SENTRY=on\nLEVEL=hunter2\n");
    const std::string path = stg.release.env_files[0];
    const std::string missing = folder_.path() / "absent";
    EXPECT_THAT(lines(check(app, two_parts(), {}, stg)),
                ElementsAre(AllOf(HasSubstr("environment stg: DATABASE_URL: has no value"),
                                  HasSubstr("give it in " + path)),
                            AllOf(HasSubstr(path + ":2: LEVEL"), Not(HasSubstr("hunter2"))),
                            HasSubstr("SENTRY_DSN: has no value, which SENTRY=on asks for")));
    stg.release.env_files.push_back(missing);
    EXPECT_THAT(lines(check(app, two_parts(), {}, stg)).front(),
                HasSubstr(missing + ": cannot be read"));
    EXPECT_EQ(refuse_faults(check(app, two_parts(), {}, stg), "x").error().code, Code::invalid);
    const auto good =
        environment("prd", "DATABASE_URL=pg://x\nLEVEL=info\nSENTRY=off\nOTHER_DSN=a\n");
    EXPECT_THAT(lines(check(app, two_parts(), {}, good)), IsEmpty());
}

TEST_F(VariablesTest, BuildTimeValuesAreTheSameEverywhere) {
    config::App app;
    app.env = {{.name = "API_BASE", .required = true, .build = true},
               {.name = "THEME", .build = true, .value = "light"},
               {.name = "UNSET", .build = true},
               {.name = "AT_RUN_TIME", .required = true}};
    config::Server server;
    server.environments["int"] = config::Environment();    // takes no releases
    server.environments["prd"] = environment("prd", "API_BASE=/api\n");
    server.environments["stg"] = environment("stg", "\nAPI_BASE=/api\n");
    auto values = values_of(app, server);
    ASSERT_TRUE(values);
    EXPECT_EQ(*values,
              (std::map<std::string, std::string>{{"API_BASE", "/api"}, {"THEME", "light"}}));

    const Content content = two_parts();
    app.env.pop_back();
    EXPECT_THAT(lines(check(app, content, *values, server.environments["stg"])), IsEmpty());
    EXPECT_THAT(
        lines(check(app, content, {{"API_BASE", "/old"}, {"THEME", "light"}},
                    server.environments["stg"])),
        ElementsAre(AllOf(HasSubstr(":2: API_BASE: is built into 1.0-a"), Not(HasSubstr("/old")))));

    server.environments["stg"] = environment("stg", "\nAPI_BASE=/other\nUNSET=\nTHEME=light\n");
    values = values_of(app, server);
    ASSERT_FALSE(values);
    EXPECT_THAT(
        values.error().message,
        AllOf(HasSubstr(":2: API_BASE: differs between prd and stg"),
              HasSubstr(":3: UNSET: differs"), Not(HasSubstr("THEME")), Not(HasSubstr("/other"))));
    server.environments["stg"] = environment("stg", "");
    EXPECT_THAT(values_of(app, server).error().message, HasSubstr("API_BASE: has no value"));
}

TEST_F(VariablesTest, SourcesWinOverFilesAndTheServersFileOverAll) {
    int asked = 0;
    secrets::Sources sources;
    sources.add("echo", std::make_shared<Echo>(&asked));
    auto stg = environment("stg", "A=file\nB=file\nC=file\nD=file\n");
    stg.env = {{"B", "server"}};
    stg.release.secrets = {echo("one"), echo("two", "x"), echo("never")};
    stg.release.secrets[2].sync.file = stg.release.env_files[0];    // is read there
    Reader reader(sources, Context());
    const auto read = reader.of(stg);
    ASSERT_TRUE(read);
    EXPECT_EQ((*read)->values.at("A").value.reveal(), "two");
    EXPECT_EQ((*read)->values.at("A").file, "echo two/x");
    EXPECT_EQ((*read)->values.at("B").value.reveal(), "server");
    EXPECT_EQ((*read)->values.at("C").value.reveal(), "file");
    EXPECT_EQ(asked, 2);
    EXPECT_TRUE(reader.of(stg));
    EXPECT_EQ(asked, 2);    // once for one request
}

TEST_F(VariablesTest, ASourceThatIsDownIsNoMissingVariable) {
    int asked = 0;
    secrets::Sources sources;
    sources.add("echo", std::make_shared<Echo>(&asked));
    auto stg = environment("stg", "");
    stg.release.secrets = {echo("")};
    config::App app;
    app.env = {{.name = "A", .required = true}};
    Reader reader(sources, Context());
    const auto checked = check_variables(app, two_parts(), {}, stg, reader);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::unavailable);
    EXPECT_EQ(checked.error().mark, secrets::source_mark);
    EXPECT_THAT(checked.error().message, HasSubstr("down"));
}

}    // namespace
}    // namespace seatrial::release
