#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/daemon.h"
#include "app/identity.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/reference.h"

namespace seatrial::cli {
namespace {

void add_key(CLI::App& app, KeyOptions& options) {
    app.add_option("KEY", options.key, "issue key, or app/KEY")->required();
    app.add_option("--env", options.env, "environment, when the key is in several");
}

// NOLINTNEXTLINE(readability-function-size): a table, one row a command
std::vector<Command> other_commands() {
    return {
        {"init", "write seatrial.yaml from what the repository shows",
         [](CLI::App& app, Options& o) { app.add_flag("--force", o.force, "write it anew"); },
         [](Options& o) { return run_init(o.force, o.globals); }},
        {"check", "validate seatrial.yaml: all faults at once, with line numbers",
         [](CLI::App& app, Options& o) { app.add_option("FILE", o.file, "file to check"); },
         [](Options& o) { return run_check(o.file, o.globals); }},
        {"doctor", "what is missing or broken on this machine, and the remedy",
         [](CLI::App&, Options&) {}, [](Options& o) { return run_doctor(o.globals); }},
        {"serve", "run the daemon in the foreground",
         [](CLI::App& app, Options& o) {
             app.add_option("--user", o.serve.user, "user to become when started as root");
             app.add_option("--port", o.serve.port, "health and metrics on 127.0.0.1; 0 = none")
                 ->check(CLI::Range(0, 65535));
             app.add_option("--log-level", o.serve.log_level, "debug, info, warn or error");
             app.add_option("--owner", o.serve.owner, "uid that may use it besides root");
             app.add_flag("--log-file", o.serve.log_file, "log to <data>/daemon.log");
             app.add_option("--ready-fd", o.serve.ready_fd)->group("");
             app.add_option("--config-fd", o.serve.config_fd)->group("");
             app.add_option("--config-name", o.serve.config_name)->group("");
             app.add_flag("--embedded", o.serve.embedded)->group("");
         },
         [](Options& o) { return run_serve(o.serve, o.globals); }},
        {"up", "start or update a preview of a branch and print its URLs",
         [](CLI::App& app, Options& o) {
             app.add_option("--issue", o.up.issue, "issue key; else read from the branch name");
             app.add_option("--branch", o.up.branch, "branch or commit; else the current branch");
             app.add_option("--env", o.up.env, "environment");
             app.add_flag("--no-wait", o.up.no_wait, "return once it is accepted");
             app.add_flag("--no-start", o.up.no_start,
                          "fail (6) when no daemon runs instead of starting one");
             app.add_flag("--replace", o.up.replace, "move the key to another branch");
             app.add_option("--fresh-database", o.up.fresh_database,
                            "start the database anew: template (default) or empty")
                 ->expected(0, 1)
                 ->default_str("template")
                 ->check(CLI::IsMember({"template", "empty"}));
             app.add_flag("--fresh-template", o.up.fresh_template,
                          "copy the source database into a new template first");
             app.add_option("--keep-failed", o.up.keep_failed,
                            "keep what a failed first start left, e.g. 30m");
             app.add_option("--ttl", o.up.ttl,
                            "remove it earlier than the environment says, e.g. 2h");
         },
         [](Options& o) { return run_up(o.up, o.globals); }},
        {"ls", "list previews",
         [](CLI::App& app, Options& o) {
             app.add_option("--app", o.ls.app, "of one app");
             app.add_option("--env", o.ls.env, "of one environment");
             app.add_flag("--all", o.ls.all, "removed ones too");
         },
         [](Options& o) { return run_ls(o.ls, o.globals); }},
        {"show", "one preview: state, URLs, steps with times, components, receipt",
         [](CLI::App& app, Options& o) { add_key(app, o.key); },
         [](Options& o) { return run_show(o.key, o.globals); }},
        {"logs", "logs of a preview's components and steps",
         [](CLI::App& app, Options& o) {
             add_key(app, o.logs);
             app.add_option("COMPONENT", o.logs.component, "of one component, install or migrate");
             app.add_flag("--follow,-f", o.logs.follow, "go on as they grow");
         },
         [](Options& o) { return run_logs(o.logs, o.globals); }},
        {"explain", "why a preview is as it is, and what to do",
         [](CLI::App& app, Options& o) { add_key(app, o.key); },
         [](Options& o) { return run_explain(o.key, o.globals); }},
        {"stop", "stop and remove a preview; ends with a receipt",
         [](CLI::App& app, Options& o) {
             add_key(app, o.stop);
             app.add_flag("--no-wait", o.stop.no_wait, "return once it is accepted");
         },
         [](Options& o) { return run_stop(o.stop, o.globals); }},
        {"extend", "let a preview live longer",
         [](CLI::App& app, Options& o) {
             add_key(app, o.key);
             app.add_option("--hours", o.hours, "hours to add")->required();
         },
         [](Options& o) { return run_extend(o.key, o.hours, o.globals); }},
        {"pin", "keep a preview until it is unpinned",
         [](CLI::App& app, Options& o) { add_key(app, o.key); },
         [](Options& o) { return run_pin(o.key, true, o.globals); }},
        {"unpin", "let a pinned preview expire again",
         [](CLI::App& app, Options& o) { add_key(app, o.key); },
         [](Options& o) { return run_pin(o.key, false, o.globals); }},
        {"cleanup", "end what is past its time, collect what nobody owns, empty the trash",
         [](CLI::App& app, Options& o) {
             app.add_flag("--dry-run", o.cleanup.dry_run, "only say what would be done");
             app.add_flag("--confirm", o.cleanup.confirm,
                          "remove also what the collector asks about first");
         },
         [](Options& o) { return run_cleanup(o.cleanup, o.globals); }},
        {"backup", "copy the records while the daemon runs", [](CLI::App&, Options&) {},
         [](Options& o) { return run_backup(o.globals); }},
        {"completion", "shell completion script",
         [](CLI::App& app, Options& o) {
             app.add_option("SHELL", o.shell, "bash, zsh or fish")
                 ->required()
                 ->check(CLI::IsMember({"bash", "zsh", "fish"}));
         },
         [](Options& o) { return run_completion(o.shell); }},
        {"version", "print the version", [](CLI::App&, Options&) {},
         [](Options& o) {
             if (o.globals.json) {
                 print_json({{"version", app::version}, {"api", 1}});
             } else {
                 std::printf("seatrial %s\n", app::version);
             }
             return 0;
         }},
        {"reference", "write the reference pages",
         [](CLI::App& app, Options& o) { app.add_option("DIR", o.folder)->required(); },
         [](Options& o) { return run_reference(o.folder); }, true},
    };
}

const std::vector<Command>& commands() {
    static const std::vector<Command> table = [] {
        std::vector<Command> rows = other_commands();
        const auto previews = std::ranges::find(rows, "ls", &Command::name);
        const auto releases = release_commands();
        rows.insert(previews, releases.begin(), releases.end());
        return rows;
    }();
    return table;
}

int exit_code(Code code) {
    switch (code) {
        case Code::invalid: return 2;
        case Code::refused: return 3;
        case Code::not_found: return 4;
        case Code::timed_out: return 5;
        case Code::cancelled: return 130;
        case Code::failed:
        case Code::conflict:
        case Code::unavailable:
        case Code::internal: return 1;
    }
    return 1;
}

struct Parser {
    Parser() : app("every branch its sea trial, every release its safe passage", "seatrial") {
        app.require_subcommand(1);
        app.fallthrough();
        app.add_flag("--json", options.globals.json, "one JSON document instead of text");
        app.add_option("--config", options.globals.config, "the server's file")
            ->envname("SEATRIAL_CONFIG");
        app.add_option("--data", options.data, "data folder of the daemon (SEATRIAL_DATA)");
        for (const Command& command : commands()) {
            CLI::App* sub = app.add_subcommand(command.name, command.text);
            command.options(*sub, options);
            if (command.hidden) {
                sub->group("");
            }
        }
    }
    Options options;
    CLI::App app;
};

// Long options of one command, for completion and reference.
std::vector<std::pair<std::string, std::string>> options_of(CLI::App* sub) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const CLI::Option* option : sub->get_options()) {
        if (!option->get_group().empty() && option->get_name() != "--help") {
            rows.emplace_back(option->get_name(), option->get_description());
        }
    }
    return rows;
}

}    // namespace

int report(const Error& error, const Globals& globals) {
    const int code = error.mark == "server" ? 6 : exit_code(error.code);
    const std::string what = render_error({error.code, error.message, "", "", error.cause});
    if (globals.json) {
        print_json({{"error",
                     {{"code", to_string(error.code)},
                      {"message", what},
                      {"hint", error.hint},
                      {"exit_code", code}}}});
    } else {
        std::fprintf(stderr, "seatrial: %s\n", printable(what, true).c_str());
        if (!error.hint.empty()) {
            std::fprintf(stderr, "  %s\n", printable(error.hint, true).c_str());
        }
    }
    return code;
}

std::string commands_page() {
    Parser parser;
    std::string page =
        "# Commands\n\n`seatrial <command> [--json] [--config FILE] [--data DIR]`. Exit codes: 0 "
        "done, 1 failed, 2 usage or configuration, 3 refused by policy or guard, 4 not found, 5 "
        "timed out, 6 no server, 130 interrupted.\n";
    for (const Command& command : commands()) {
        if (command.hidden) {
            continue;
        }
        page += "\n## " + std::string(command.name) + "\n\n" + command.text + "\n";
        const auto rows = options_of(parser.app.get_subcommand(command.name));
        if (!rows.empty()) {
            page += "\n| option | what it does |\n|---|---|\n";
        }
        for (const auto& [name, text] : rows) {
            page += "| `" + name + "` | " + text + " |\n";
        }
    }
    return page;
}

std::string render_completion(const std::string& shell) {
    Parser parser;
    std::string names;
    std::string cases;
    std::string fish;
    for (const Command& command : commands()) {
        if (command.hidden) {
            continue;
        }
        const std::string name = command.name;
        names += (names.empty() ? "" : " ") + name;
        fish += "complete -c seatrial -n __fish_use_subcommand -f -a " + name + " -d '" +
                command.text + "'\n";
        std::string flags;
        for (const auto& [option, text] : options_of(parser.app.get_subcommand(name))) {
            for (const auto word : split(option, ',')) {
                if (word.starts_with("--")) {
                    flags += " " + std::string(word);
                    fish += "complete -c seatrial -n '__fish_seen_subcommand_from " + name +
                            "' -l " + std::string(word.substr(2)) + " -d '" + text + "'\n";
                }
            }
        }
        cases += "    " + name + ") words=\"--json --data" + flags + "\" ;;\n";
    }
    if (shell == "fish") {
        return fish;
    }
    const std::string bash =
        "_seatrial() {\n  local words cur=\"${COMP_WORDS[COMP_CWORD]}\"\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"" +
        names + "\"\n  else case \"${COMP_WORDS[1]}\" in\n" + cases +
        "  esac; fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
        "complete -F _seatrial seatrial\n";
    return shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" + bash : bash;
}

int run_completion(const std::string& shell) {
    std::printf("%s", render_completion(shell).c_str());
    return 0;
}

int run(int argc, char** argv) {
    Parser parser;
    Options& options = parser.options;
    try {
        parser.app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = parser.app.exit(error);
        return code == 0 ? 0 : 2;
    }
    options.globals.data =
        options.data.empty() ? app::default_data() : std::filesystem::absolute(options.data);
    const CLI::App* chosen = parser.app.get_subcommands().front();
    CLI::Option* fresh = parser.app.get_subcommand("up")->get_option("--fresh-database");
    if (fresh->count() > 0 && options.up.fresh_database.empty()) {
        options.up.fresh_database = "template";
    }
    for (const Command& command : commands()) {
        if (chosen->get_name() == command.name) {
            return command.run(options);
        }
    }
    return 2;
}

}    // namespace seatrial::cli
