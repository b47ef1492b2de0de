// What is wanted of one preview, complete: everything a plan needs, frozen at admission. Kept as
// versioned JSON in the life's row; names in it are chosen once and never computed again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace seatrial::preview {

inline constexpr int spec_version = 1;

struct Names {
    std::string tree;    // worktree; also the preview's folder
    std::string git_ref;
    std::string mount;
    std::string database, role;    // or the sqlite file
    std::string migrate_run;
    std::string network;                        // of its containers
    std::map<std::string, std::string> runs;    // component → run
};

struct Spec {
    std::string life, app, key, env;
    std::string branch;          // full ref, "" when a bare commit was asked for
    std::string base_branch;     // full ref: merged into it means finished
    std::string fork;            // where the base was at the last `up`, "" = unknown
    std::string commit;          // 40 hex
    std::string mirror;          // name of the mirror's folder
    std::string repository;      // the caller's repository (common dir), "" for remotes
    std::string remote;          // URL, "" for local ones
    std::string requested_by;    // actor

    std::string app_file;           // its name in faults
    std::string app_text;           // "" when the variables alone describe the app
    config::Variables variables;    // PREVIEW_* that shaped it

    // The environment's policy as it was at admission.
    std::string provider = "local";
    std::int64_t ttl_ms = 0;
    std::int64_t warn_before_ms = 0;
    std::int64_t keep_failed_ms = 0;
    std::int64_t memory_bytes = 0;
    int cpu_percent = 0;
    int pids = 0;
    std::string min_isolation, on_reboot, host;
    std::map<std::string, std::string> environment_env;
    std::vector<std::string> env_files;    // server side, secrets
    std::int64_t log_bytes = 0;

    Names names;
    std::map<std::string, int> ports;    // component → port
    int uid_slot = -1;
    int install_uid_slot = -1;
    bool empty_database = false;    // start from nothing instead of the template
    int database_serial = 0;        // grows with --fresh-database: a new name each time

    // Facts found before the plan was journalled (prepare).
    std::string template_name;                      // "" = none
    std::string dependency_tree;                    // "" = none
    std::map<std::string, std::string> images;      // component → image
    std::map<std::string, std::string> tree_env;    // of tracked env files at the commit
};

// Where its branches are asked for: the caller's repository, else the remote.
inline const std::string& source_of(const Spec& spec) {
    return spec.repository.empty() ? spec.remote : spec.repository;
}

std::string render_spec(const Spec& spec);
// Errors: `invalid` for a newer version or text that is not a spec.
Result<Spec> parse_spec(const std::string& json);

// The app as the spec froze it.
Result<config::App> app_of(const Spec& spec);

// Fills every empty name of `names` for this app; leaves chosen ones alone.
void choose_names(Spec& spec, const config::App& app, const std::string& instance);

// Public values every component sees: PREVIEW_*, *_PORT, *_URL. URLs by component name.
std::map<std::string, std::string> urls_of(const Spec& spec, const config::App& app);

}    // namespace seatrial::preview
