// What an app is: its seatrial.yaml as plain values (and its part of an environment).
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/component.h"
#include "config/env_rule.h"
#include "config/release_check.h"
#include "config/release_queue.h"
#include "config/release_snapshot.h"
#include "config/version_range.h"

namespace seatrial::config {

struct Install {
    UserCommand run;
    std::vector<std::string> key;     // files whose content decides (lock files)
    std::vector<std::string> keep;    // folders the command makes ("node_modules"); '*' is one
                                      // folder name, a pattern that matches nothing is skipped
    std::chrono::milliseconds timeout{15 * 60'000};
    bool operator==(const Install&) const = default;
};

struct Migrate {
    UserCommand run;
    std::string component;    // in whose image it runs, where there are images; "" = the first
    std::chrono::milliseconds timeout{5 * 60'000};
    bool operator==(const Migrate&) const = default;
};

enum class DatabaseEngine { none, postgres, sqlite };
struct Database {
    DatabaseEngine engine = DatabaseEngine::none;
    std::string source;    // postgres: database cloned ("" = start empty); sqlite: template file
                           // below the tree or server path
    std::string url = "DATABASE_URL";    // variable the app reads
    std::string file;                    // sqlite: where the clone lies below the tree
    bool operator==(const Database&) const = default;
};

struct ReleaseMigrate {
    UserCommand run;                 // before the components start
    UserCommand down;                // after a `run` that failed; without text: none
    std::string component;           // whose image runs it; "" = the first one
    std::vector<std::string> sql;    // paths below the tree whose SQL is looked at
    bool contract = false;           // it may remove what the release before still uses
    std::chrono::milliseconds timeout{60'000};
    std::optional<ReleaseSnapshot> snapshot;
    bool operator==(const ReleaseMigrate&) const = default;
};

struct App {
    std::string name;
    std::vector<Component> components;    // in file order
    std::optional<Install> install;
    std::optional<Migrate> migrate;
    Database database;
    std::vector<ReleaseCheck> release_checks;
    std::optional<ReleaseMigrate> release_migrate;
    std::vector<ReleaseQueue> release_queues;
    ReleaseCache release_cache;
    Compatibility release_compatibility;
    std::vector<EnvRule> env;
    std::vector<std::string> env_files;                     // below the tree, parsed, never sourced
    std::string issue_pattern = "[A-Z][A-Z0-9]+-[0-9]+";    // find_match() in config/pattern.h
    std::string base_branch;    // merged into it = finished; "" = the default branch
    struct Tighten {            // never loosens what the server says
        std::optional<std::chrono::milliseconds> ttl;
        std::optional<int> max;
        bool operator==(const Tighten&) const = default;
    };
    std::map<std::string, Tighten> environments;
    bool operator==(const App&) const = default;
};

}    // namespace seatrial::config
