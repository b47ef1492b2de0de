// What every command gets, and the commands themselves. Options are parsed in cli.cpp only.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace seatrial::cli {

struct Globals {
    bool json = false;
    std::string config;            // server file; "" = the repository's own
    std::filesystem::path data;    // of the daemon to talk to
};

struct UpOptions {
    std::string issue, branch, env;
    bool no_wait = false, no_start = false, replace = false, fresh_template = false;
    std::string fresh_database;    // "", "template", "empty"
    std::string keep_failed;       // duration
    std::string ttl;               // duration, tightens
};
struct ServeOptions {
    std::string user, config_name, log_level = "info";
    int port = 3000, ready_fd = -1, config_fd = -1;
    long owner = -1;
    bool log_file = false, embedded = false;
};
struct KeyOptions {
    std::string key, env;
};
struct LsOptions {
    std::string app, env;
    bool all = false;
};
struct LogsOptions : KeyOptions {
    std::string component;
    bool follow = false;
};
struct CleanupOptions {
    bool dry_run = false, confirm = false;
};
struct DeployOptions {
    std::string app, env, from, branch;
    std::string release;    // id or tag; of rollback: where to
    std::string reason;
    std::string log;    // of releases: whose build's log
    bool wait = false, no_wait = false;
    bool allow_differences = false, dry_run = false;
    std::string snapshot;    // id
    bool discard = false;    // of restore: what was written since
};
struct ApprovalOptions {
    std::string id, reason;
    std::string app, env;
    bool all = false;
};
struct EnvOptions {
    std::string action;    // check | sync | example | diff
    std::string env, other;
    bool dry_run = false, adopt = false, force = false;
};
struct StopOptions : KeyOptions {
    bool no_wait = false;
};

// Each returns the exit code of the contract: 0 done, 1 failed, 2 usage or configuration, 3
// refused, 4 not found, 5 timed out, 6 no server, 130 interrupted.
int run_up(const UpOptions& options, const Globals& globals);
int run_serve(const ServeOptions& options, const Globals& globals);
int run_ls(const LsOptions& options, const Globals& globals);
int run_show(const KeyOptions& options, const Globals& globals);
int run_logs(const LogsOptions& options, const Globals& globals);
int run_explain(const KeyOptions& options, const Globals& globals);
int run_stop(const StopOptions& options, const Globals& globals);
int run_extend(const KeyOptions& options, double hours, const Globals& globals);
int run_pin(const KeyOptions& options, bool pinned, const Globals& globals);
int run_cleanup(const CleanupOptions& options, const Globals& globals);
int run_init(bool force, const Globals& globals);
int run_check(const std::string& file, const Globals& globals);
int run_doctor(const Globals& globals);
int run_backup(const Globals& globals);
int run_completion(const std::string& shell);
int run_build(const DeployOptions& options, const Globals& globals);
int run_deploy(const DeployOptions& options, const Globals& globals);
int run_promote(const DeployOptions& options, const Globals& globals);
int run_rollback(const DeployOptions& options, const Globals& globals);
int run_snapshots(const DeployOptions& options, const Globals& globals);
int run_restore(const DeployOptions& options, const Globals& globals);
int run_resume(const DeployOptions& options, const Globals& globals);
int run_releases(const DeployOptions& options, const Globals& globals);
int run_history(const DeployOptions& options, const Globals& globals);
int run_incidents(const DeployOptions& options, const Globals& globals);
int run_approvals(const ApprovalOptions& options, const Globals& globals);
int run_approve(const ApprovalOptions& options, const Globals& globals);
int run_reject(const ApprovalOptions& options, const Globals& globals);
int run_env(const EnvOptions& options, const Globals& globals);
int run_reference(const std::string& folder);

// Tells what went wrong on stderr (what, why, what to do) or, with --json, as one document on
// stdout, and gives the exit code.
int report(const Error& error, const Globals& globals);

}    // namespace seatrial::cli
