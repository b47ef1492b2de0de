#include <gmock/gmock.h>

#include <ctime>

#include "config/config.h"
#include "config/keys.h"
#include "config/validate.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> lines(const std::vector<Fault>& faults) {
    std::vector<std::string> out;
    for (const auto& fault : faults) {
        out.push_back(render_fault(fault));
    }
    return out;
}
std::vector<std::string> app_faults(const std::string& yaml, bool both = false) {
    return lines(parse_app(yaml, "seatrial.yaml", both).faults);
}
const std::string small = "app: shop\ncomponents: {web: {run: node server.js, port: WEB_PORT}}\n";

constexpr const char* design = R"(
app: shop
components:
  web: { run: pnpm dev:web, port: WEB_PORT, health: / }
  api: { run: [node, api.js, 8], port: API_PORT, health: { path: /healthz, timeout: 90s },
         cwd: ./apps/api/, env: { WEB: "${WEB_URL}/x" }, base_port: 5200, path: /api }
install: { run: pnpm install --frozen-lockfile, key: [pnpm-lock.yaml], keep: [node_modules] }
migrate: { run: pnpm db:migrate }
database: { engine: postgres, template: rtb_dev, url: DATABASE_URL }
env:
  required: [SESSION_SECRET]
  optional: [SENTRY_DSN]
  LOG_LEVEL: debug
  SESSION_SECRET: { secret: true, pattern: ".{8,}", description: signs cookies }
  LOGIN: { type: url, value: "${WEB_URL}/login" }
  EMPTY:
env_files: .env.preview
base_branch: main
environments: { int: { ttl: 8h, max: 2 } }
)";

TEST(AppFile, TheWholeShapeIsRead) {
    const auto parsed = parse_app(design, "seatrial.yaml", false);
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    const App& app = parsed.value;
    EXPECT_EQ(app.name, "shop");
    ASSERT_EQ(app.components.size(), 2U);
    EXPECT_EQ(app.components[0].name, "web");
    EXPECT_THAT(app.components[0].run.to_argv(), ElementsAre("/bin/sh", "-c", "pnpm dev:web"));
    EXPECT_EQ(app.components[0].health->path, "/");
    EXPECT_EQ(app.components[0].health->timeout, 60s);
    EXPECT_EQ(app.components[0].path, "/");
    EXPECT_THAT(app.components[1].run.to_argv(), ElementsAre("node", "api.js", "8"));
    EXPECT_EQ(app.components[1].health->timeout, 90s);
    EXPECT_EQ(app.components[1].cwd, "apps/api");
    EXPECT_EQ(app.components[1].env.at("WEB"), "${WEB_URL}/x");
    EXPECT_EQ(app.components[1].base_port, 5200);
    EXPECT_THAT(app.install->keep, ElementsAre("node_modules"));
    EXPECT_EQ(app.migrate->run.text, "pnpm db:migrate");
    EXPECT_EQ(app.database.engine, DatabaseEngine::postgres);
    EXPECT_EQ(app.database.source, "rtb_dev");
    ASSERT_EQ(app.env.size(), 5U);
    EXPECT_TRUE(app.env[0].required);
    EXPECT_TRUE(app.env[0].secret);
    EXPECT_EQ(app.env[0].pattern, ".{8,}");
    EXPECT_FALSE(app.env[1].required);
    EXPECT_EQ(app.env[2].value, "debug");
    EXPECT_EQ(app.env[3].type, "url");
    EXPECT_EQ(app.env[4].value, std::nullopt);
    EXPECT_THAT(app.env_files, ElementsAre(".env.preview"));
    EXPECT_EQ(app.environments.at("int").ttl, 8h);
    EXPECT_EQ(app.environments.at("int").max, 2);
}

TEST(AppFile, ShortFormsWork) {
    const auto parsed = parse_app(
        "app: shop\ncomponents: {web: node server.js, worker: [node, worker.js]}\n"
        "migrate: [npm, run, migrate]\ndatabase: false\nenv:\n",
        "f", false);
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    EXPECT_EQ(parsed.value.components[0].run.text, "node server.js");
    EXPECT_THAT(parsed.value.components[1].run.argv, ElementsAre("node", "worker.js"));
    EXPECT_THAT(parsed.value.migrate->run.argv, ElementsAre("npm", "run", "migrate"));
    EXPECT_EQ(parsed.value.database.engine, DatabaseEngine::none);
    const auto health =
        parse_app("app: a\ncomponents: {web: {run: x, port: P, health: {}}}", "f", false);
    EXPECT_THAT(lines(health.faults), IsEmpty());
    ASSERT_TRUE(health.value.components[0].health.has_value());
    EXPECT_EQ(health.value.components[0].health->path, "");
}

TEST(AppFile, TextStaysTextWhateverItLooksLike) {
    const auto parsed = parse_app(
        "app: 123\ncomponents: {web: true}\nenv: {A: 012, B: yes, C: 1e3, D: ''}\n", "f", false);
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    EXPECT_EQ(parsed.value.components[0].run.text, "true");
    EXPECT_EQ(parsed.value.env[0].value, "012");
    EXPECT_EQ(parsed.value.env[1].value, "yes");
    EXPECT_EQ(parsed.value.env[2].value, "1e3");
    EXPECT_EQ(parsed.value.env[3].value, "");
}

TEST(AppFile, EveryFaultAtOnceInTheOrderOfTheFile) {
    EXPECT_THAT(
        app_faults("app: -x\ncomponets: {}\ncomponents:\n  web:\n    port: 3000\n    helth: /\n"
                   "    cwd: ../up\ninstall: {run: x, key: a, keep: a, timeout: 5}\nmigrate: {}\n"),
        ElementsAre(
            HasSubstr("seatrial.yaml:1: app: '-x' is not a name"),
            AllOf(HasSubstr(":2: componets: unknown key"), HasSubstr("did you mean 'components'?")),
            HasSubstr(":4: components.web.run: is missing"),
            AllOf(HasSubstr(":5: components.web.port: a fixed port (3000) cannot work"),
                  HasSubstr("WEB_PORT")),
            AllOf(HasSubstr(":6: components.web.helth: unknown key"), HasSubstr("'health'")),
            HasSubstr(":7: components.web.cwd: '../up' is not a folder of"),
            AllOf(HasSubstr(":8: install.timeout: '5' is not a duration"), HasSubstr("90s")),
            HasSubstr(":9: migrate.run: is missing")));
}

struct BadApp {
    std::string yaml;
    std::string fault;
};
class AppFileRefuses : public testing::TestWithParam<BadApp> {};
TEST_P(AppFileRefuses, Naming) {
    EXPECT_THAT(app_faults(GetParam().yaml), Contains(HasSubstr(GetParam().fault)));
}
INSTANTIATE_TEST_SUITE_P(
    All, AppFileRefuses,
    testing::Values(
        BadApp{"", "app: is missing"}, BadApp{"app: x", "components: is missing"},
        BadApp{"[a]", "must be a map"}, BadApp{"text", "must be a map"},
        BadApp{"app: x\ncomponents: {}", "components: is empty"},
        BadApp{"app: x\ncomponents: [a]", "must be a map of keys"},
        BadApp{"app: x\ncomponents: {Web: x}", "not a name for this"},
        BadApp{"app: x\ncomponents: {'a b': x}", "not a name for this"},
        BadApp{"app: x\nservices: {web: x}", "did you mean 'components'?"},
        BadApp{"app: x\ncomponents: {web: {cmd: x}}", "did you mean 'run'?"},
        BadApp{"app: x\ncomponents: {web: {run: {a: b}}}", "must be a command"},
        BadApp{"app: x\ncomponents: {web: {run: []}}", "must be a command"},
        BadApp{"app: x\ncomponents: {web: {run: \"a\\0b\"}}", "must be a command"},
        BadApp{"app: x\ncomponents: {web: {run: ''}}", "must be a command"},
        BadApp{"app: x\ncomponents: {web: {run: x, port: 'A B'}}", "name of a variable"},
        BadApp{"app: x\ncomponents: {web: {run: x, health: /}}", "a health check needs a port"},
        BadApp{"app: x\ncomponents: {web: {run: x, port: P, health: healthz}}",
               "start it with '/'"},
        BadApp{"app: x\ncomponents: {a: {run: x, port: P}, b: {run: x, port: P}}",
               "'a' uses P too"},
        BadApp{"app: x\ncomponents: {web: {run: x, base_port: 80}}", "1024 to 65535"},
        BadApp{"app: x\ncomponents: {web: {run: x, env: {'A-B': x}}}",
               "not the name of a variable"},
        BadApp{"app: x\ncomponents: {web: {run: x, env: {A: '${B'}}}", "names no variable"},
        BadApp{small + "install: {run: x, keep: [node_modules]}", "install.key: is missing"},
        BadApp{small + "install: npm ci", "must be a map of keys"},
        BadApp{small + "install: {run: x, key: [], keep: [a]}", "install.key: is empty"},
        BadApp{small + "install: {run: x, key: [a]}", "install.keep: is missing"},
        BadApp{small + "install: {run: x, key: [a], keep: [/etc]}", "'/etc' is not"},
        BadApp{small + "install: {run: x, key: [a], keep: ['**/node_modules']}", "'**'"},
        BadApp{small + "install: {run: x, key: [a], keep: [a/../../b]}", "keep[0]"},
        BadApp{small + "install: {run: x, timeout: 0s}", "1s to 6h"},
        BadApp{small + "install: {run: x, timeout: 99999999999999999999d}", "not a duration"},
        BadApp{small + "database: mysql", "not one of none, postgres, sqlite"},
        BadApp{small + "database: postgre", "did you mean 'postgres'?"},
        BadApp{small + "database: {template: x}", "database.engine: is missing"},
        BadApp{small + "database: {engine: sqlite, file: a.db, template: ../x}",
               "not a path below"},
        BadApp{small + "database: {engine: postgres, file: a.db}", "PostgreSQL has no file"},
        BadApp{small + "env: {A: {secret: true, value: s3cret}}", "must not stand in this file"},
        BadApp{small + "env: {A: {type: port, value: 99999}}", "is not a port"},
        BadApp{small + "env: {A: {pattern: '('}}", "not a regular expression"},
        BadApp{small + "env: {A: {pattern: '(a)\\1'}}", "not a regular expression"},
        BadApp{small + "env: {A: {type: strin}}", "did you mean 'string'?"},
        BadApp{small + "env: {required: [A B]}", "name of a variable"},
        BadApp{small + "env_files: [/etc/passwd]", "below the repository"},
        BadApp{small + "issue_pattern: '['", "not a regular expression"},
        BadApp{small + "base_branch: \"a\\nb\"", "not a name"},
        BadApp{small + "environments: {int: {ttl: 10}}", "not a duration"},
        BadApp{small + "environments: {int: {max: many}}", "not a whole number"}));

TEST(AppFile, KeysOfTheServerAreRefusedByName) {
    EXPECT_THAT(app_faults(small + "environments: {prd: {approval: false, ttl: 1h}}\n"
                                   "postgres: {url: x}\n"),
                ElementsAre(AllOf(HasSubstr("environments.prd.approval: belongs in the server's"),
                                  HasSubstr(":3:")),
                            HasSubstr(":4: postgres: belongs in the server's file")));
    EXPECT_THAT(app_faults(small + "environments: {prd: {approval: false}}\nworkers: 4\n", true),
                IsEmpty());
}

TEST(AppFile, AMisspeltTemplateNameIsAWarning) {
    const auto parsed = parse_app(
        "app: a\ncomponents: {web: {run: x, port: WEB_PORT, env: {A: '${WEB_PROT}'}}}", "f", false);
    EXPECT_TRUE(parsed.ok());
    EXPECT_THAT(lines(parsed.faults),
                ElementsAre(AllOf(HasSubstr("warning"), HasSubstr("${WEB_PORT}"))));
}

TEST(AppFile, SecretsNeverShowInFaults) {
    for (const auto& line : app_faults(small + "env: {A: {secret: true, value: s3cret}}")) {
        EXPECT_THAT(line, Not(HasSubstr("s3cret")));
    }
}

TEST(AppFile, HostileTextIsPrintableAndFaultsAreCapped) {
    std::string yaml = small;
    for (int i = 0; i < 500; ++i) {
        yaml += "\"bad\\e[31m" + std::to_string(i) + "\": 1\n";
    }
    const auto faults = app_faults(yaml);
    EXPECT_LE(faults.size(), 102U);
    EXPECT_THAT(faults, Contains(HasSubstr("more faults")));
    for (const auto& line : faults) {
        EXPECT_EQ(line.find('\x1b'), std::string::npos);
        EXPECT_LT(line.size(), 600U);
    }
    EXPECT_THAT(app_faults(small + "env: {A: {pattern: '" + std::string(2000, 'a') + "'}}"),
                Contains(HasSubstr("too long a pattern")));
}

// Many names, each looked up among many others: once this took minutes.
TEST(AppFile, ManyValuesAndManyMistakesStayCheap) {
    std::string values;
    for (int i = 0; i < 900; ++i) {
        values += "A" + std::to_string(i) + ": '${B" + std::to_string(i) + "}', ";
    }
    std::string yaml = "app: a\ncomponents:\n";
    for (int i = 0; yaml.size() < (240 << 10); ++i) {
        yaml += "  c" + std::to_string(i) + ": {run: x, env: {" + values + "}}\n";
    }
    const auto start = std::clock();
    EXPECT_LE(app_faults(yaml).size(), 110U);
    std::string patterns = small + "env:\n";
    for (int i = 0; i < 900; ++i) {
        patterns += "  A" + std::to_string(i) + ": {pattern: '((a{99}){9}|\\pL){1,9}', value: x}\n";
    }
    EXPECT_LE(app_faults(patterns).size(), 110U);
    EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 3);
}

TEST(AppFile, NothingIsReadFromAFileThatIsNotYaml) {
    const auto parsed = parse_app("app: shop\ncomponents: {", "f", false);
    EXPECT_EQ(parsed.faults.size(), 1U);
    EXPECT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.value, App{});
}

TEST(Faults, BecomeOneErrorWithoutTheWarnings) {
    const auto error = faults_to_error({{"f", 3, "a.b", "is wrong", "mend it", false},
                                        {"f", 4, "", "odd", "", true},
                                        {"f", 0, "", "also wrong", "", false}});
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_EQ(error.message, "f:3: a.b: is wrong (mend it)\nf: also wrong");
    EXPECT_EQ(error.field, "f:3:a.b");
}

TEST(AppReleases, RulesOfVariablesAreJudged) {
    const auto parsed = parse_app(small + R"(
env:
  DSN: {required_if: SENTRY=on, components: [web]}
  THEME: {scope: build, components: [wep]}
  TOKEN: {scope: build, secret: true}
  ODD: {required_if: "9=x"}
)",
                                  "f", false);
    std::vector<std::string> told;
    for (const auto& fault : parsed.faults) {
        told.push_back(render_fault(fault));
    }
    EXPECT_THAT(told, ElementsAre(AllOf(HasSubstr("env.THEME.components: there is no component"),
                                        HasSubstr("did you mean 'web'?")),
                                  HasSubstr("env.TOKEN.scope: an image shows"),
                                  HasSubstr("env.ODD.required_if: '9=x' is not a condition")));
    EXPECT_EQ(parsed.value.env.at(0).required_if, "SENTRY=on");
    EXPECT_EQ(parsed.value.env.at(0).components, std::vector<std::string>{"web"});
    EXPECT_FALSE(parsed.value.env.at(0).build);
    EXPECT_TRUE(parsed.value.env.at(1).build);
}

TEST(AppReleases, ChecksOfEveryKindAreRead) {
    const auto parsed = parse_app(small + R"(
release:
  checks:
    - /
    - {get: /readyz, status: 204, contains: ok, within: 3s}
    - {post: /jobs, body: "{}", poll: "/jobs/{id}", until: {status: done}, within: 30s}
    - {sse: /events}
    - {download: /a.pdf, type: application/pdf, min_bytes: 1K}
    - {metric: /metrics, name: jobs_total, by: 2}
    - {post: /decks, file: ./samples/a.pptx, field: deck, poll: "/jobs/{id}", until: {status: done}}
    - {download: "/jobs/{id}/file"}
)",
                                  "f", false);
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    using Kind = ReleaseCheck::Kind;
    const auto& checks = parsed.value.release_checks;
    ASSERT_EQ(checks.size(), 8U);
    EXPECT_EQ(checks[0], ReleaseCheck());
    EXPECT_EQ(checks[6].file, "samples/a.pptx");
    EXPECT_EQ(checks[6].field, "deck");
    EXPECT_EQ(checks[6].type, "application/octet-stream");
    EXPECT_EQ(checks[1].status, 204);
    EXPECT_EQ(checks[1].contains, "ok");
    EXPECT_EQ(checks[1].within, 3s);
    EXPECT_EQ(checks[2].kind, Kind::job);
    EXPECT_EQ(checks[2].type, "application/json");
    EXPECT_EQ(checks[2].poll, "/jobs/{id}");
    EXPECT_EQ(checks[2].until.at("status"), "done");
    EXPECT_EQ(checks[3].kind, Kind::sse);
    EXPECT_EQ(checks[3].within, 2s);
    EXPECT_EQ(checks[4].kind, Kind::download);
    EXPECT_EQ(checks[4].min_bytes, 1024);
    EXPECT_EQ(checks[5].metric, "jobs_total");
    EXPECT_EQ(checks[5].by, 2);
    EXPECT_EQ(
        parse_app(small + "release: {checks: /a}", "f", false).value.release_checks.at(0).path,
        "/a");
    EXPECT_EQ(parse_app(small + "release: {checks: {sse: /a}}", "f", false)
                  .value.release_checks.at(0)
                  .kind,
              Kind::sse);
}

TEST(AppReleases, AMigrationsCopyAndWayBackAreRead) {
    const auto read = [](const std::string& snapshot) {
        return parse_app(
            small + "release: {migrate: {run: a, down: [b, c], snapshot: " + snapshot + "}}\n",
            "seatrial.yaml", false);
    };
    const auto whole = read(
        "{url: DB_URL, image: \"postgres:16\", keep: 5, timeout: 1h, "
        "ignore: [public.log]}");
    ASSERT_THAT(lines(whole.faults), IsEmpty());
    EXPECT_THAT(whole.value.release_migrate->down.argv, ElementsAre("b", "c"));
    EXPECT_EQ(*whole.value.release_migrate->snapshot,
              (ReleaseSnapshot{"DB_URL", "postgres:16", 5, 1h, {"public.log"}}));
    EXPECT_EQ(*read("DB_URL").value.release_migrate->snapshot,
              (ReleaseSnapshot{"DB_URL", "", 3, 10min, {}}));
    EXPECT_THAT(lines(read("{keep: 0}").faults),
                ElementsAre(HasSubstr("snapshot.keep"), HasSubstr("snapshot.url: is missing")));
}

TEST(AppReleases, AFaultyCheckSaysWhatItLacks) {
    const auto told = [](const std::string& check) {
        return app_faults(small + "release: {checks: [" + check + "]}");
    };
    EXPECT_THAT(told("{status: 200}"), ElementsAre(HasSubstr("release.checks[0]: it has none of")));
    EXPECT_THAT(told("{get: /, sse: /}"), ElementsAre(HasSubstr("both `get` and `sse`")));
    EXPECT_THAT(told("/, {post: /jobs}"),
                ElementsAre(HasSubstr("release.checks[1]: `post` needs `poll`")));
    EXPECT_THAT(told("{sse: /, contains: x}"), ElementsAre(HasSubstr("`contains` says nothing")));
    const std::string job = "{post: /jobs, poll: /j, until: {a: b}";
    EXPECT_THAT(told(job + ", file: a, body: b}"),
                ElementsAre(HasSubstr("both `body` and `file`")));
    EXPECT_THAT(told(job + ", field: a}"), ElementsAre(HasSubstr("`field` needs `file`")));
    EXPECT_THAT(told(job + ", file: ../a}"),
                ElementsAre(HasSubstr("release.checks[0].file: '../a'")));
    EXPECT_THAT(told("{get: /, file: a}"), ElementsAre(HasSubstr("`file` says nothing")));
    EXPECT_THAT(told("{sse: \"/j/{id}\"}, " + job + "}, {sse: \"/j/{id}\"}"),
                ElementsAre(HasSubstr("release.checks[0]: its path names a member")));
    EXPECT_THAT(told("{gett: /}"), Contains(HasSubstr("did you mean 'get'?")));
    EXPECT_THAT(told("{get: x}"), ElementsAre(HasSubstr("release.checks[0].get: 'x' is not")));
    EXPECT_THAT(told("[a]"), ElementsAre(HasSubstr("release.checks[0].get: must be a URL")));
    std::string many;
    for (int i = 0; i < 900; ++i) {
        many += "{}, ";
    }
    EXPECT_LE(told(many + "{}").size(), 110U);
}

TEST(AppReleases, WhatFitsBesideWhat) {
    const std::string parts =
        "app: shop\ncomponents:\n  web: {run: x, build: .}\n  worker: {run: x, build: .}\n";
    const auto rules = [&](const std::string& text) {
        return parse_app(parts + "release: {compatibility: {" + text + "}}\n", "f", false);
    };
    const auto good = rules("worker: {web: '>=1.2 <2'}, web: {worker: 1.4}");
    EXPECT_TRUE(good.ok());
    EXPECT_EQ(good.value.release_compatibility,
              (Compatibility{{"worker", {{"web", ">=1.2 <2"}}}, {"web", {{"worker", "1.4"}}}}));
    const auto told = [&](const std::string& text) {
        return faults_to_error(rules(text).faults).message;
    };
    EXPECT_THAT(told("worker: {wep: 1}"),
                HasSubstr("compatibility.worker.wep: there is no component 'wep'"));
    EXPECT_THAT(told("wrker: {web: 1}"), HasSubstr("did you mean 'worker'?"));
    EXPECT_THAT(told("worker: {web: newest}"), HasSubstr("'newest' is no range of versions"));
    EXPECT_FALSE(rules("worker: 1").ok());
}

TEST(AppReleases, AnImageHasAFixedVersionAndNoBuildBesideIt) {
    const auto faults = [](const char* image, const char* more) {
        return parse_app("app: shop\ncomponents:\n  web:\n    run: x\n    image: " +
                             std::string(image) + "\n" + more,
                         "f", false)
            .faults.size();
    };
    EXPECT_EQ(faults("nginx:1.27.3", ""), 0U);
    EXPECT_EQ(faults("host:5000/a/nginx@sha256:00", ""), 0U);
    EXPECT_EQ(faults("nginx", ""), 1U);
    EXPECT_EQ(faults("host:5000/nginx", ""), 1U);
    EXPECT_EQ(faults("nginx:latest", ""), 1U);
    EXPECT_EQ(faults("nginx:1.27.3", "    build: .\n"), 1U);
}

}    // namespace
}    // namespace seatrial::config
