// seatrial env: what environments get, checked, compared, synchronised; and the schema as a file.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/globals.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "config/config.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

constexpr std::size_t file_limit = 2 << 20;
constexpr const char* app_file = "seatrial.yaml";
constexpr const char* example_file = ".env.example";
constexpr std::string_view example_mark = "# Made by `seatrial env example`";

Result<std::string> read_app() {
    auto text = read_file(app_file, file_limit);
    if (!text && text.error().code == Code::not_found) {
        return fail(Code::invalid, "there is no seatrial.yaml here",
                    "go to the app's folder; `seatrial init` writes one");
    }
    return text;
}

int print_check(const json& environments) {
    bool good = true;
    for (const auto& [name, seen] : environments.items()) {
        const auto faults = seen.value("faults", std::vector<std::string>());
        for (const auto& line : faults) {
            std::printf("%s %s\n", paint("error", Tone::bad).c_str(),
                        printable(line, true).c_str());
        }
        for (const auto& line : seen.value("notes", std::vector<std::string>())) {
            std::printf("%s %s\n", paint("warning", Tone::warn).c_str(), printable(line).c_str());
        }
        if (faults.empty()) {
            std::printf("%s has what the app needs\n", name.c_str());
        }
        good = good && faults.empty();
    }
    return good ? 0 : 2;
}

int check(DaemonClient& daemon, const EnvOptions& options, const Globals& globals,
          const Context& ctx) {
    const auto text = read_app();
    if (!text) {
        return report(text.error(), globals);
    }
    const auto seen =
        daemon.call("POST", "/api/v1/environments/check",
                    {{"env", options.env}, {"appText", *text}, {"appFile", app_file}}, ctx);
    if (!seen) {
        return report(seen.error(), globals);
    }
    if (!globals.json) {
        return print_check(*seen);
    }
    bool good = true;
    for (const auto& one : *seen) {
        good = good && one.value("faults", json::array()).empty();
    }
    print_json(*seen);
    return good ? 0 : 2;
}

int sync(DaemonClient& daemon, const EnvOptions& options, const Globals& globals,
         const Context& ctx) {
    const auto done = daemon.call(
        "POST", "/api/v1/environments/sync",
        {{"env", options.env}, {"dryRun", options.dry_run}, {"adopt", options.adopt}}, ctx);
    if (!done) {
        return report(done.error(), globals);
    }
    if (globals.json) {
        print_json(*done);
        return 0;
    }
    for (const auto& one : *done) {
        std::printf("%s: %s, %s\n", text_of(one, "env").c_str(), text_of(one, "source").c_str(),
                    options.dry_run               ? "nothing is written"
                    : one.value("written", false) ? "written"
                                                  : "nothing has changed");
        for (const auto& change : one.value("changes", json::array())) {
            std::printf("  %-8s %s  %s\n", text_of(change, "what").c_str(),
                        text_of(change, "name").c_str(), text_of(change, "file").c_str());
        }
        for (const auto& file : one.value("by_hand", std::vector<std::string>())) {
            std::printf("  %s %s was written or changed by hand%s\n",
                        paint("note", Tone::warn).c_str(), printable(file).c_str(),
                        options.dry_run ? ": --adopt overwrites it" : "");
        }
    }
    return 0;
}

int diff(DaemonClient& daemon, const EnvOptions& options, const Globals& globals,
         const Context& ctx) {
    const auto lines = daemon.get("/api/v1/environments/differences?from=" + encode(options.env) +
                                      "&to=" + encode(options.other),
                                  ctx);
    if (!lines) {
        return report(lines.error(), globals);
    }
    if (globals.json) {
        print_json(*lines);
    } else if (lines->empty()) {
        std::printf("what %s gets is what %s gets, but for what may differ\n",
                    printable(options.other).c_str(), printable(options.env).c_str());
    } else {
        for (const auto& line : *lines) {
            std::printf("%s\n", printable(line.get<std::string>()).c_str());
        }
    }
    return lines->empty() ? 0 : 1;
}

std::string say_rule(const config::EnvRule& rule) {
    std::vector<std::string> out;
    out.push_back(rule.required              ? "required"
                  : rule.required_if.empty() ? "optional"
                                             : "required if " + rule.required_if);
    if (rule.type != "string") {
        out.push_back(rule.type);
    }
    if (!rule.values.empty()) {
        out.push_back("one of " + join(rule.values, ", "));
    }
    if (!rule.pattern.empty()) {
        out.push_back("matches " + rule.pattern);
    }
    if (rule.secret) {
        out.push_back("secret");
    }
    if (rule.build) {
        out.push_back("read by image builds");
    }
    if (!rule.components.empty()) {
        out.push_back("read by " + join(rule.components, ", "));
    }
    return printable(join(out, "; "));
}

std::string render_example(const config::App& app) {
    std::string out = std::string(example_mark) + " from the env schema of " + app.name +
                      ": names for git, no secrets.\n";
    for (const auto& rule : app.env) {
        out += "\n";
        if (!rule.description.empty()) {
            out += "# " + printable(rule.description) + "\n";
        }
        out += "# " + say_rule(rule) + "\n";
        const bool shown = rule.value && !rule.secret &&
                           rule.value->find_first_of("$\n\r\"'\\#") == std::string::npos;
        out += (rule.required ? "" : "# ") + rule.name + "=" + (shown ? *rule.value : "") + "\n";
    }
    return out;
}

int example(const EnvOptions& options, const Globals& globals) {
    const auto text = read_app();
    if (!text) {
        return report(text.error(), globals);
    }
    const auto app = config::parse_app(*text, app_file, true);
    if (!app.ok()) {
        return report(config::faults_to_error(app.faults), globals);
    }
    const auto there = read_file(example_file, file_limit);
    const bool others =
        there ? !there->starts_with(example_mark) : there.error().code != Code::not_found;
    if (others && !options.force) {
        return report({Code::refused, std::string(example_file) + " was written by hand",
                       "--force writes it anew", "", nullptr},
                      globals);
    }
    if (const auto written = write_file_atomic(example_file, render_example(app.value)); !written) {
        return report(written.error(), globals);
    }
    if (globals.json) {
        print_json({{"file", example_file}, {"variables", app.value.env.size()}});
    } else {
        std::printf("wrote %s: %zu variables\n", example_file, app.value.env.size());
    }
    return 0;
}

}    // namespace

int run_env(const EnvOptions& options, const Globals& globals) {
    if (options.action == "example") {
        return example(options, globals);
    }
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    if (options.action == "sync") {
        return sync(daemon, options, globals, interrupt.context());
    }
    if (options.action == "diff" && (options.env.empty() || options.other.empty())) {
        return report({Code::invalid, "two environments are compared",
                       "for example: seatrial env diff stg prd", "", nullptr},
                      globals);
    }
    return options.action == "diff" ? diff(daemon, options, globals, interrupt.context())
                                    : check(daemon, options, globals, interrupt.context());
}

}    // namespace seatrial::cli
