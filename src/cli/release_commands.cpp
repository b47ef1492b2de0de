// The rows of releases and approvals in the table of commands.
#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace seatrial::cli {
namespace {

void add_app(CLI::App& app, DeployOptions& options) {
    app.add_option("--app", options.app, "app; else that of the repository one stands in");
}

void add_watching(CLI::App& app, DeployOptions& options) {
    app.add_option("--reason", options.reason, "for the history");
    app.add_flag("--wait", options.wait, "until drain and gates are through, not only the switch");
    app.add_flag("--no-wait", options.no_wait, "return once it is accepted");
}

}    // namespace

// NOLINTNEXTLINE(readability-function-size): a table, one row a command
std::vector<Command> release_commands() {
    return {
        {"build", "build a release of a commit, once",
         [](CLI::App& app, Options& o) {
             app.add_option("--branch", o.deploy.branch, "branch or commit; else the current one");
         },
         [](Options& o) { return run_build(o.deploy, o.globals); }},
        {"deploy", "build and deploy to an environment; users are switched once it is healthy",
         [](CLI::App& app, Options& o) {
             app.add_option("ENV", o.deploy.env, "environment")->required();
             app.add_option("--branch", o.deploy.branch, "branch or commit; else the current one");
             app.add_option("--release", o.deploy.release, "one that is built, by tag or id");
             add_app(app, o.deploy);
             add_watching(app, o.deploy);
         },
         [](Options& o) { return run_deploy(o.deploy, o.globals); }},
        {"promote", "deploy what serves in one environment to another, as it is",
         [](CLI::App& app, Options& o) {
             app.add_option("--from", o.deploy.from, "environment")->default_str("stg");
             app.add_option("--to", o.deploy.env, "environment")->default_str("prd");
             app.add_flag("--allow-differences", o.deploy.allow_differences,
                          "also when their variables differ; which ones is kept in the history");
             app.add_flag("--dry-run", o.deploy.dry_run, "only say what would be done");
             add_app(app, o.deploy);
             add_watching(app, o.deploy);
         },
         [](Options& o) {
             o.deploy.from = o.deploy.from.empty() ? "stg" : o.deploy.from;
             o.deploy.env = o.deploy.env.empty() ? "prd" : o.deploy.env;
             return run_promote(o.deploy, o.globals);
         }},
        {"rollback", "back to the release before; holds automation",
         [](CLI::App& app, Options& o) {
             app.add_option("ENV", o.deploy.env, "environment")->required();
             app.add_option("--to", o.deploy.release, "a release kept there, by tag or id");
             app.add_flag("--dry-run", o.deploy.dry_run, "only say what would be done");
             add_app(app, o.deploy);
             add_watching(app, o.deploy);
         },
         [](Options& o) { return run_rollback(o.deploy, o.globals); }},
        {"snapshots", "copies of an environment's database, each made before a migration",
         [](CLI::App& app, Options& o) {
             app.add_option("ENV", o.deploy.env, "environment")->required();
             add_app(app, o.deploy);
         },
         [](Options& o) { return run_snapshots(o.deploy, o.globals); }},
        {"restore", "put a copy of an environment's database back, if nothing would be lost",
         [](CLI::App& app, Options& o) {
             app.add_option("ENV", o.deploy.env, "environment")->required();
             app.add_option("SNAPSHOT", o.deploy.snapshot, "its id")->required();
             app.add_flag("--discard", o.deploy.discard,
                          "also what was written since, once it was told; a copy of it is kept");
             add_app(app, o.deploy);
             app.add_option("--reason", o.deploy.reason, "for the history");
             app.add_flag("--no-wait", o.deploy.no_wait, "return once it is accepted");
         },
         [](Options& o) { return run_restore(o.deploy, o.globals); }},
        {"resume", "let automation deploy again after a rollback by hand",
         [](CLI::App& app, Options& o) {
             app.add_option("ENV", o.deploy.env, "environment")->required();
             add_app(app, o.deploy);
         },
         [](Options& o) { return run_resume(o.deploy, o.globals); }},
        {"releases", "list the releases of an app, and where they serve",
         [](CLI::App& app, Options& o) {
             add_app(app, o.deploy);
             app.add_option("--log", o.deploy.log,
                            "show what a build said: a release's tag, or a build's id");
         },
         [](Options& o) { return run_releases(o.deploy, o.globals); }},
        {"history", "what happened to releases in an environment",
         [](CLI::App& app, Options& o) {
             app.add_option("ENV", o.deploy.env, "environment")->required();
             add_app(app, o.deploy);
         },
         [](Options& o) { return run_history(o.deploy, o.globals); }},
        {"incidents", "releases that failed or were taken back, and why",
         [](CLI::App& app, Options& o) {
             add_app(app, o.deploy);
             app.add_option("--env", o.deploy.env, "of one environment");
         },
         [](Options& o) { return run_incidents(o.deploy, o.globals); }},
        {"env", "what environments get: check, sync from its sources, diff, or example for git",
         [](CLI::App& app, Options& o) {
             app.add_option("ACTION", o.env.action,
                            "check: the app's schema against it; sync: sources into files; diff: "
                            "two environments; example: .env.example from the schema")
                 ->required()
                 ->check(CLI::IsMember({"check", "sync", "diff", "example"}));
             app.add_option("ENV", o.env.env, "environment; else all that take releases");
             app.add_option("OTHER", o.env.other, "of diff: the other one");
             app.add_flag("--dry-run", o.env.dry_run, "of sync: only show what would change");
             app.add_flag("--adopt", o.env.adopt, "of sync: overwrite what was written by hand");
             app.add_flag("--force", o.env.force, "of example: the same");
         },
         [](Options& o) { return run_env(o.env, o.globals); }},
        {"approvals", "releases that wait for a person's yes, and who may say it",
         [](CLI::App& app, Options& o) {
             app.add_option("--app", o.approval.app, "of one app");
             app.add_option("--env", o.approval.env, "of one environment");
             app.add_flag("--all", o.approval.all, "decided ones too");
         },
         [](Options& o) { return run_approvals(o.approval, o.globals); }},
        {"approve", "say yes to a request: what was asked for starts by itself",
         [](CLI::App& app, Options& o) {
             app.add_option("ID", o.approval.id, "of the request")->required();
             app.add_option("--reason", o.approval.reason, "for the history");
         },
         [](Options& o) { return run_approve(o.approval, o.globals); }},
        {"reject", "say no to a request, or take one's own back",
         [](CLI::App& app, Options& o) {
             app.add_option("ID", o.approval.id, "of the request")->required();
             app.add_option("--reason", o.approval.reason, "told to who asked; needed");
         },
         [](Options& o) { return run_reject(o.approval, o.globals); }},
    };
}

}    // namespace seatrial::cli
