// The two configuration files as plain values. Keys, types, defaults, bounds and texts are
// declared once, in config/keys.cpp; validation, JSON Schema and reference come from there.
//
//   app file     seatrial.yaml of a repository: what the app is. From the commit or default branch.
//   server file  what the machine allows: environments, policy, places.
// A daemon without a server file takes both parts from the repository it was started in.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace seatrial::config {

// One fault, ready to print as "file:line: key: message (remedy)".
struct Fault {
    std::string file;
    int line = 0;       // 1-based; 0 when it has none
    std::string key;    // "components.web.port"
    std::string message;
    std::string remedy;
    bool warning = false;
};
std::string render_fault(const Fault& fault);
// All faults in one Error (Code::invalid), a line each.
Error faults_to_error(const std::vector<Fault>& faults);

// A user's command: text for /bin/sh -c inside the isolation, or argv.
struct UserCommand {
    std::string text;                 // set when written as a string
    std::vector<std::string> argv;    // set when written as a list
    bool empty() const { return text.empty() && argv.empty(); }
    std::vector<std::string> to_argv() const;    // {"/bin/sh","-c",text} or argv
    bool operator==(const UserCommand&) const = default;
};

struct Health {
    std::string path;    // HTTP GET, 2xx/3xx is healthy; "" = the port answers
    std::chrono::milliseconds timeout{60'000};
};

struct Component {
    std::string name;
    UserCommand run;
    std::string port;                // variable that carries its port ("WEB_PORT"); "" = no port
    int base_port = 0;               // first of its port slots; 0 = server's default
    std::optional<Health> health;    // absent: alive after start is enough
    std::string cwd;                 // below the tree
    std::map<std::string, std::string> env;    // templated: ${PORT}, ${API_URL}, ...
    std::string path;                          // URL path this component answers for, default "/"
};

struct Install {
    UserCommand run;
    std::vector<std::string> key;     // files whose content decides (lock files)
    std::vector<std::string> keep;    // paths the command makes ("node_modules", globs)
    std::chrono::milliseconds timeout{15 * 60'000};
};

struct Migrate {
    UserCommand run;
    std::chrono::milliseconds timeout{5 * 60'000};
};

enum class DatabaseEngine { none, postgres, sqlite };
struct Database {
    DatabaseEngine engine = DatabaseEngine::none;
    std::string source;    // postgres: database cloned ("" = start empty); sqlite: template file
                           // below the tree or server path
    std::string url = "DATABASE_URL";    // variable the app reads
    std::string file;                    // sqlite: where the clone lies below the tree
};

// One variable of the app's env schema.
struct EnvRule {
    std::string name;
    bool required = false;
    bool secret = false;
    std::string type = "string";         // string | integer | boolean | url | port
    std::string pattern;                 // RE2-style, full match; "" = any
    std::vector<std::string> values;     // enum; empty = any
    std::optional<std::string> value;    // default or fixed value, templated
    std::string description;
};

struct App {
    std::string name;
    std::vector<Component> components;    // in file order
    std::optional<Install> install;
    std::optional<Migrate> migrate;
    Database database;
    std::vector<EnvRule> env;
    std::vector<std::string> env_files;    // below the tree, parsed, never sourced
    std::string issue_pattern;             // how KEY is read from a branch name
    std::string base_branch;               // merged into it = finished; "" = the default branch
    // Tightening only, per environment name:
    struct Tighten {
        std::optional<std::chrono::milliseconds> ttl;
        std::optional<int> max;
    };
    std::map<std::string, Tighten> environments;
};

struct Limits {
    std::int64_t memory_bytes = 0;    // per component; 0 = none
    int cpu_percent = 0;
    int pids = 512;
};

struct Environment {
    std::string name;
    std::string provider = "local";
    std::chrono::milliseconds ttl{24 * 3'600'000};
    std::chrono::milliseconds warn_before{3'600'000};
    int max = 5;
    std::string min_isolation = "basic";    // basic | standard | strong
    Limits limits;
    std::vector<std::string> branches;         // globs allowed; empty = any
    bool approval = false;                     // prd: refused until approvals exist
    std::string on_reboot = "restart";         // restart | remove
    std::string cluster, role;                 // k8s, later
    std::map<std::string, std::string> env;    // added to every component
};

struct Server {
    std::map<std::string, Environment> environments;    // int always exists
    std::string default_environment = "int";
    bool enabled = true;               // PREVIEW_ENABLED
    std::string host = "localhost";    // in URLs
    int port_base = 5100;              // first component; the next ones +100 each
    int port_stride = 100;
    int port_slots = 200;                  // how many slots are tried
    std::string worktree_path;             // "" = <data>/previews
    std::string postgres_url;              // admin; may hold a password: never printed
    std::vector<std::string> env_files;    // secrets for previews, server side
    std::chrono::milliseconds log_keep{7LL * 24 * 3'600'000};
    std::int64_t log_bytes = 16 << 20;    // per component
    std::chrono::milliseconds event_keep{30LL * 24 * 3'600'000};
    std::int64_t min_free_bytes = 512LL << 20;    // new previews are refused below it
    int workers = 16;                             // plan nodes at work at once
};

// What a whole file gave: the values that could be read and every fault found.
template <class T>
struct Parsed {
    T value;
    std::vector<Fault> faults;
    bool ok() const {
        for (const auto& fault : faults) {
            if (!fault.warning) {
                return false;
            }
        }
        return true;
    }
};

// `name` appears in faults. Never throws; any input (100 MB, alias bombs, bad UTF-8) ends in
// faults within bounded time and memory. `both`: server keys are allowed in the app's file
// (embedded daemon); otherwise a server key there is a fault that says where it belongs.
Parsed<App> parse_app(std::string_view yaml, const std::string& name, bool both);
Parsed<Server> parse_server(std::string_view yaml, const std::string& name);

// The thirteen PREVIEW_* variables (and {INT,STG,PRD}_EKS_*) of P3. `lookup` is getenv-like.
using Lookup = std::optional<std::string> (*)(const char* name);
using Variables = std::map<std::string, std::string>;
Variables preview_variables(Lookup lookup);
// Without any file these alone describe an app with web and api (the document's set-up).
App app_from_variables(const Variables& variables, const std::string& name);
// Variables over files. The environment's stricter ttl, max and provider still win over
// PREVIEW_TTL_HOURS, PREVIEW_MAX_INSTANCES, PREVIEW_PROVIDER when the server's file sets them.
std::vector<Fault> apply_variables(const Variables& variables, App& app, Server& server);
// int: auto 24 h; stg: 24 h, release/* rc/*; prd: approval, 8 h, hotfix/* (A8).
Server default_server();
// The environment with the app's tightening applied; not_found names the known ones.
Result<Environment> environment_for(const Server& server, const App& app, const std::string& name);

// JSON Schema (2020-12) of both files, and the reference page in Markdown, from the key table.
std::string json_schema();
std::string reference_page();

}    // namespace seatrial::config
