#include <gmock/gmock.h>

#include "config/config.h"
#include "config/keys.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines(const std::vector<Fault>& faults) {
    std::vector<std::string> out;
    for (const auto& fault : faults) {
        out.push_back(render_fault(fault));
    }
    return out;
}

TEST(ServerFile, BuiltInPolicyIsTheDocuments) {
    const auto server = parse_server("", "s", false).value;
    EXPECT_EQ(server, default_server());
    const auto& environments = server.environments;
    EXPECT_EQ(environments.at("int").ttl, 24h);
    EXPECT_THAT(environments.at("int").branches, IsEmpty());
    EXPECT_FALSE(environments.at("int").approval);
    EXPECT_THAT(environments.at("stg").branches, ElementsAre("release/*", "rc/*"));
    EXPECT_EQ(environments.at("prd").ttl, 8h);
    EXPECT_TRUE(environments.at("prd").approval);
    EXPECT_THAT(environments.at("prd").branches, ElementsAre("hotfix/*"));
}

TEST(ServerFile, TheWholeShapeIsRead) {
    const auto parsed = parse_server(R"(
environments:
  int: { provider: local, ttl: 12h, max: 3, warn_before: 30m, min_isolation: standard,
         limits: { memory: 1G, cpu: 150%, pids: 64 }, on_reboot: remove, env: { A: b } }
  stg: { provider: k8s, cluster: "arn:aws:eks:x", role: "arn:aws:iam::1:role/x", max: 20 }
  prd: { approval: { approvers: ["unix:alice"], expires: 2h } }
  production: { max: 1 }
  qa: { approval: true, branches: qa/* }
default_environment: qa
enabled: false
host: previews.example
ports: { base: 6000, stride: 10, slots: 50 }
worktree_path: /srv/previews
postgres: { url: "postgresql://u:p@h/d" }
secret_files: [/etc/a.env]
logs: { keep: 1d, size: 1M }
events: { keep: 90d }
salvage: { keep: 60d }
min_free: 2GB
workers: 4
)",
                                     "server.yaml");
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    const auto& server = parsed.value;
    const auto& dev = server.environments.at("int");
    EXPECT_EQ(dev.ttl, 12h);
    EXPECT_TRUE(dev.ttl_set && dev.max_set && dev.provider_set);
    EXPECT_EQ(dev.limits.memory_bytes, 1LL << 30);
    EXPECT_EQ(dev.limits.cpu_percent, 150);
    EXPECT_EQ(dev.limits.pids, 64);
    EXPECT_EQ(dev.env.at("A"), "b");
    EXPECT_EQ(server.environments.at("stg").cluster, "arn:aws:eks:x");
    EXPECT_FALSE(server.environments.at("stg").ttl_set);
    EXPECT_THAT(server.environments.at("prd").approvers, ElementsAre("unix:alice"));
    EXPECT_EQ(server.environments.at("prd").approval_expires, 2h);
    EXPECT_EQ(server.environments.at("prd").ttl, 8h);
    EXPECT_TRUE(server.environments.at("production").approval);
    EXPECT_EQ(server.environments.at("production").ttl, 8h);
    EXPECT_TRUE(server.environments.at("qa").approval);
    EXPECT_THAT(server.environments.at("qa").branches, ElementsAre("qa/*"));
    EXPECT_EQ(server.port_base, 6000);
    EXPECT_EQ(server.port_stride, 10);
    EXPECT_EQ(server.port_slots, 50);
    EXPECT_FALSE(server.enabled);
    EXPECT_EQ(server.log_keep, 24h);
    EXPECT_EQ(server.log_bytes, 1 << 20);
    EXPECT_EQ(server.event_keep, 90 * 24h);
    EXPECT_EQ(server.salvage_keep, 60 * 24h);
    EXPECT_EQ(server.min_free_bytes, 2LL << 30);
    EXPECT_EQ(server.workers, 4);
    EXPECT_EQ(server.postgres_url, "postgresql://u:p@h/d");
    EXPECT_THAT(server.env_files, ElementsAre("/etc/a.env"));
    EXPECT_EQ(server.worktree_path, "/srv/previews");
}

struct BadServer {
    std::string yaml;
    std::string fault;
};
class ServerFileRefuses : public testing::TestWithParam<BadServer> {};
TEST_P(ServerFileRefuses, Naming) {
    EXPECT_THAT(lines(parse_server(GetParam().yaml, "s").faults),
                Contains(HasSubstr(GetParam().fault)));
}
INSTANTIATE_TEST_SUITE_P(
    All, ServerFileRefuses,
    testing::Values(BadServer{"components: {web: x}", "s:1: components: belongs in the app's file"},
                    BadServer{"default_environment: stgg", "did you mean 'stg'?"},
                    BadServer{"environments: {Int: {}}", "not a name"},
                    BadServer{"environments: {int: {ttl: 24}}", "not a duration"},
                    BadServer{"environments: {int: {ttl: 1s}}", "1m to 366d"},
                    BadServer{"environments: {int: {limits: {memory: lots}}}", "not a size"},
                    BadServer{"environments: {int: {limits: {cpu: -5%}}}", "not a percentage"},
                    BadServer{"environments: {int: {provider: kubernetes}}", "local, docker, k8s"},
                    BadServer{"environments: {int: {aproval: true}}", "did you mean 'approval'?"},
                    BadServer{"environments: {int: {env: {A: '${'}}}", "names no variable"},
                    BadServer{"enabled: yes", "true or false"},
                    BadServer{"host: 'a b'", "not a host name"},
                    BadServer{"host: http://x", "without scheme"},
                    BadServer{"worktree_path: previews", "not an absolute path"},
                    BadServer{"worktree_path: /a/../b", "not an absolute path"},
                    BadServer{"ports: {base: 5100, stride: 0}", "1 to 10000"},
                    BadServer{"port: {base: 5100}", "did you mean 'ports'?"},
                    BadServer{"secret_files: [a.env]", "not an absolute path"},
                    BadServer{"enabled: true\nenabled: false",
                              "s:2: enabled: the key stands twice"}));

TEST(ServerFile, OneFileForBothParts) {
    const std::string yaml =
        "app: a\ncomponents: {web: x}\nenvironments: {int: {max: 2}}\nworkers: 2\n";
    EXPECT_THAT(lines(parse_server(yaml, "f", true).faults), IsEmpty());
    EXPECT_EQ(parse_server(yaml, "f", true).value.environments.at("int").max, 2);
    EXPECT_THAT(lines(parse_app(yaml, "f", true).faults), IsEmpty());
}

TEST(ServerFile, ACombinedFileTellsEachFaultOnce) {
    EXPECT_THAT(lines(check_combined("app: a\ncomponets: {}\ncomponents: {web: {run: x, health: /}}"
                                     "\nworkers: 0\ndefault_environment: itn\n",
                                     "f")),
                ElementsAre(HasSubstr("f:2: componets"), HasSubstr("f:3: components.web.health"),
                            HasSubstr("f:4: workers"), HasSubstr("f:5: default_environment")));
    EXPECT_EQ(check_combined("a: [", "f").size(), 1U);
}

TEST(EnvironmentFor, AppsOnlyTighten) {
    const auto server = parse_server("environments: {int: {ttl: 10h, max: 4}}", "s").value;
    App app;
    app.environments["int"] = {.ttl = 48h, .max = 2};
    const auto environment = environment_for(server, app, "int");
    ASSERT_TRUE(environment.has_value());
    EXPECT_EQ(environment->ttl, 10h);
    EXPECT_EQ(environment->max, 2);
    app.environments["int"] = {.ttl = 2h, .max = 9};
    EXPECT_EQ(environment_for(server, app, "int")->ttl, 2h);
    EXPECT_EQ(environment_for(server, app, "int")->max, 4);
    const auto unknown = environment_for(server, app, "itn");
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().code, Code::not_found);
    EXPECT_THAT(unknown.error().hint, HasSubstr("known are: int, prd, stg"));
}

// Writes a value at a table path, the free names filled in: "ports.base" -> {ports: {base: V}}.
std::string nested(std::string_view path, std::string_view name, std::string_view value) {
    const auto dot = path.find('.');
    const auto segment = path.substr(0, dot);
    const std::string key(segment == "*" ? name : segment);
    const std::string inner = dot == std::string_view::npos
                                  ? std::string(value)
                                  : nested(path.substr(dot + 1), name, value);
    if (segment == "[]") {
        return "[" + inner + "]";
    }
    return "{" + key + ": " + inner + "}";
}

TEST(Server, RegistriesAreNamedByTheirHosts) {
    const auto parsed = parse_server(
        "docker:\n  registries:\n    host.example:5000: {user: ci, password_file: /etc/p}\n"
        "    docker.io: {user: me, password_file: /etc/q}\n",
        "s");
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    EXPECT_EQ(parsed.value.docker_registries.at("host.example:5000"), (Registry{"ci", "/etc/p"}));
    EXPECT_EQ(parsed.value.docker_registries.size(), 2U);
    for (const char* bad : {"https://host", "host/team", "-host", "host:", "host:123456", "a b"}) {
        const auto refused = parse_server("docker: {registries: {\"" + std::string(bad) +
                                              "\": {user: ci, password_file: /etc/p}}}",
                                          "s");
        ASSERT_EQ(refused.faults.size(), 1U) << bad;
        EXPECT_EQ(refused.faults[0].message, "not the host of a registry");
    }
    EXPECT_EQ(
        parse_server("docker: {registries: {host: {user: ci, password: x}}}", "s").faults.size(),
        2U)
        << "a password is never in the file";
}

TEST(KeyTable, DefaultsOfTheServerAreThoseOfTheStructs) {
    for (const auto& key : server_keys()) {
        if (key.fallback.empty() || key.path == "environments.*.approval.required") {
            continue;
        }
        const auto with = parse_server(nested(key.path, "qa", key.fallback), "s");
        EXPECT_THAT(lines(with.faults), IsEmpty()) << key.path;
        auto server = with.value;
        if (key.path.starts_with("environments.")) {
            auto& environment = server.environments.at("qa");
            environment.ttl_set = environment.max_set = environment.provider_set = false;
            environment.approval = false;    // approval.expires alone asks for one
            EXPECT_EQ(environment, default_environment("qa")) << key.path;
        } else {
            EXPECT_EQ(server, default_server()) << key.path;
        }
    }
}

TEST(KeyTable, DefaultsOfTheAppAreThoseOfTheStructs) {
    const Component component;
    EXPECT_EQ(find_key("components.*", "path")->fallback, component.path);
    EXPECT_EQ(find_key("components.*.health", "timeout")->fallback, "60s");
    EXPECT_EQ(Health{}.timeout, 60s);
    EXPECT_EQ(find_key("install", "timeout")->fallback, "15m");
    EXPECT_EQ(Install{}.timeout, 15min);
    EXPECT_EQ(find_key("migrate", "timeout")->fallback, "5m");
    EXPECT_EQ(Migrate{}.timeout, 5min);
    EXPECT_EQ(find_key("database", "url")->fallback, Database{}.url);
    EXPECT_EQ(find_key("env.*", "type")->fallback, EnvRule{}.type);
    EXPECT_EQ(find_key("", "issue_pattern")->fallback, App{}.issue_pattern);
}

TEST(KeyTable, EveryExampleValidates) {
    for (const auto& key : server_keys()) {
        const std::string name = key.path.find("env.*") == std::string_view::npos ? "int" : "qa";
        std::string path(key.path);
        if (path.ends_with("env.*")) {
            path.replace(path.size() - 1, 1, "NAME");
        }
        for (const auto& fault : parse_server(nested(path, name, key.example), "s").faults) {
            EXPECT_EQ(fault.message, "is missing") << key.path << " " << render_fault(fault);
        }
    }
    std::vector<Key> app(app_keys().begin(), app_keys().end());
    app.insert(app.end(), release_keys().begin(), release_keys().end());
    for (const auto& key : app) {
        std::string path(key.path);
        for (auto at = path.find("env.*"); at != std::string::npos; at = std::string::npos) {
            path.replace(at, 5, "env.NAME");
        }
        // Faults about the rest of so small a file are not the example's.
        for (const auto& fault : parse_app(nested(path, "web", key.example), "f", false).faults) {
            EXPECT_TRUE(fault.warning || fault.message == "is missing" ||
                        fault.message.find("needs a port") != std::string::npos ||
                        fault.message.find("has no port") != std::string::npos ||
                        fault.key == "components.web.static" ||
                        fault.key.starts_with("release.queues.") ||
                        fault.key.starts_with("release.cache.") ||
                        fault.key.starts_with("release.compatibility.") ||
                        (key.path.find("[]") != std::string_view::npos &&
                         fault.key.starts_with("release.checks[")))
                << key.path << " " << render_fault(fault);
        }
    }
}

TEST(KeyTable, EveryRowIsTold) {
    for (const auto& key : all_keys()) {
        EXPECT_FALSE(key.text.empty()) << key.path;
        EXPECT_FALSE(key.example.empty()) << key.path;
        EXPECT_EQ(key.type == Type::choice, !key.values.empty()) << key.path;
        if (!key.shorthand.empty()) {
            EXPECT_EQ(last_segment(find_key(key.path, key.shorthand)->path), key.shorthand);
        }
    }
}

TEST(ReleasePlace, EachEnvironmentHasPortsOfItsOwn) {
    const auto faults = [](const char* one, const char* other) {
        return parse_server("environments:\n  prd: {release: {listen: [" + std::string(one) +
                                "]}}\n  stg: {release: {listen: [" + other + "]}}\n",
                            "s")
            .faults;
    };
    EXPECT_TRUE(faults("'4400'", "'4500'").empty());
    EXPECT_TRUE(faults("'127.0.0.1:4400'", "'127.0.0.2:4400'").empty());
    for (const auto& [one, other] :
         {std::pair("'4400'", "'4400'"), std::pair("'127.0.0.1:4400'", "'4400'"),
          std::pair("'4400'", "'4500', '127.0.0.1:4400'")}) {
        const auto found = faults(one, other);
        ASSERT_EQ(found.size(), 1U) << one << " " << other;
        EXPECT_EQ(render_fault(found.front())
                      .find("s:3: environments.stg.release.listen: the "
                            "environment 'prd' has port 4400 already"),
                  0U)
            << render_fault(found.front());
    }
}

TEST(ReleasePlace, GatesAreRead) {
    const auto read = [](const std::string& gates) {
        return parse_server("environments: {prd: {release: {gates: {" + gates + "}}}}", "s");
    };
    const auto good = read(
        "migration: 30s, job_success: {prometheus: 'http://metrics:9090', query: 'a{b=\"c\"}', "
        "min: "
        "99%, on_breach: rollback}, api_errors: {prometheus: 'https://m', query: e}");
    EXPECT_TRUE(good.ok());
    const auto& place = good.value.environments.at("prd").release;
    EXPECT_EQ(place.job_success, (AskedGate{"http://metrics:9090", "a{b=\"c\"}", 99, "rollback"}));
    EXPECT_EQ(place.api_errors, (AskedGate{"https://m", "e", 2, "hold"}));
    EXPECT_EQ(place.migration_max, std::chrono::seconds(30));
    EXPECT_EQ(place.migration_breach, "stop");
    EXPECT_FALSE(read("job_success: {query: e}").ok());
    EXPECT_FALSE(read("job_success: {prometheus: 'http://m'}").ok());
    for (const char* url : {"metrics:9090", "ftp://m", "http://user:word@m", "http://m/?x"}) {
        const auto bad = read("api_errors: {query: e, prometheus: '" + std::string(url) + "'}");
        EXPECT_FALSE(bad.ok()) << url;
    }
}

TEST(ReleasePlace, SharesAndPortsAreRead) {
    EXPECT_EQ(parse_canary_step("1% 5m")->per_mille, 10);
    EXPECT_EQ(parse_canary_step("0.1% 90s")->per_mille, 1);
    EXPECT_EQ(parse_canary_step("0.1% 90s")->hold, std::chrono::seconds(90));
    EXPECT_EQ(parse_canary_step("100% 1s")->per_mille, 1000);
    for (const char* text : {"", "1%", "1 5m", "% 5m", "101% 5m", "0% 5m", "0.05% 5m", "-1% 5m",
                             "1% soon", "100.5% 1m"}) {
        EXPECT_FALSE(parse_canary_step(text)) << text;
    }
    EXPECT_EQ(parse_listen("4500")->port, 4500);
    EXPECT_EQ(parse_listen("127.0.0.1:80")->address, "127.0.0.1");
    for (const char* text : {"", "x", "0", "65536", ":80", "a b:80", "1.2.3.4:"}) {
        EXPECT_FALSE(parse_listen(text)) << text;
    }
    const auto parsed = parse_server(
        "environments:\n  prd:\n    release:\n      listen: [\"4500\", nonsense]\n"
        "      canary: [1% 5m, half]\n",
        "s", false);
    EXPECT_EQ(parsed.faults.size(), 2U);
}

TEST(ServerFile, SourcesOfSecrets) {
    const auto parsed = parse_server(R"(
environments:
  prd:
    release:
      listen: ["4500"]
      env_files: [/srv/.env.prd]
      secrets:
        - { doppler: shop, config: production, token_file: /etc/doppler,
            sync: { file: /srv/.env.prd, keys: { JWT_PRIVATE_KEY: /srv/private.pem } } }
        - { aws: shop/prd, region: ap-northeast-2, as: WHOLE }
        - { vault: secret/data/shop, url: "https://vault.example:8200/", role_id: r,
            secret_id_file: /etc/vault, namespace: team/a }
)",
                                     "s");
    EXPECT_THAT(lines(parsed.faults), IsEmpty());
    const auto& secrets = parsed.value.environments.at("prd").release.secrets;
    ASSERT_EQ(secrets.size(), 3U);
    EXPECT_EQ(name_of(secrets[0]), "doppler shop/production");
    EXPECT_EQ(secrets[0].sync.keys.at("JWT_PRIVATE_KEY"), "/srv/private.pem");
    EXPECT_EQ(name_of(secrets[1]), "aws shop/prd");
    EXPECT_EQ(secrets[1].variable, "WHOLE");
    EXPECT_EQ(secrets[2].url, "https://vault.example:8200");
    EXPECT_EQ(secrets[2].name_space, "team/a");
}

TEST(ServerFile, WhatIsWrongWithASourceIsSaid) {
    const std::pair<const char*, const char*> bad[] = {
        {"{ config: x }", "has none of doppler, aws, vault"},
        {"{ doppler: a, config: b, aws: c }", "has both `doppler` and `aws`"},
        {"{ doppler: a, token_file: /t }", "`doppler` needs `config`"},
        {"{ aws: a, region: r1, config: b }", "`config` says nothing about `aws`"},
        {"{ aws: a, region: evil.example.com/ }", "is no region"},
        {"{ vault: a/b, url: \"https://v\" }", "either `token_file`, or `role_id`"},
        {"{ vault: a/../b, url: \"https://v\", token_file: /t }", "is no path"},
        {"{ vault: a/b, url: \"http://v.example\", token_file: /t }", "in the clear"},
        {"{ doppler: a, config: b, token_file: /t, sync: /srv/.env }", "is no env file"}};
    for (const auto& [source, fault] : bad) {
        const auto parsed = parse_server(
            "environments: { prd: { release: { secrets: " + std::string(source) + " } } }", "s");
        EXPECT_THAT(lines(parsed.faults), ElementsAre(HasSubstr(fault))) << source;
    }
}

TEST(ProblemOfUrl, SecretsGoByTlsOrStayHere) {
    for (const char* good : {"https://vault.example", "https://10.0.0.1:8200/base",
                             "http://127.0.0.1:8200", "http://localhost", "http://[::1]:80/x"}) {
        EXPECT_EQ(problem_of_url(good), "") << good;
    }
    for (const char* bad :
         {"", "vault.example", "ftp://x", "http://10.0.0.1", "http://localhost.example",
          "http://127.0.0.1@evil.example/", "https://a:b@c", "https://x/?a", "https://x/#a",
          "https://", "https://x:0", "https://x:99999", "https://x\\@y", "http://[::2]/",
          "https://x y"}) {
        EXPECT_NE(problem_of_url(bad), "") << bad;
    }
}

}    // namespace
}    // namespace seatrial::config
