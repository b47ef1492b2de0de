// The commands that need no daemon: init, check, reference.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/api.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/globals.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/reference.h"
#include "config/config.h"
#include "config/init.h"
#include "config/secret_text.h"
#include "git/ignored.h"
#include "release/key_files.h"
#include "release/variables.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;
constexpr std::size_t file_limit = 2 << 20;
constexpr std::chrono::seconds check_time{20};

json fault_json(const config::Fault& fault) {
    return {{"file", fault.file},       {"line", fault.line},     {"key", fault.key},
            {"message", fault.message}, {"remedy", fault.remedy}, {"warning", fault.warning}};
}

// Templates are for git; what an app names in env_files is meant to be there, too.
bool is_meant_for_git(const std::string& path, const config::App& app) {
    constexpr std::string_view ends[] = {"example", "sample", "template", "dist", "defaults"};
    return std::ranges::find(app.env_files, path) != app.env_files.end() ||
           std::ranges::any_of(ends, [&](std::string_view end) { return path.ends_with(end); });
}

// Env files that git has, of the repository one stands in.
void check_tracked(const config::App& app, const Context& ctx, std::vector<config::Fault>& faults) {
    const auto tracked = git::tracked_env_files(std::filesystem::current_path(), ctx);
    for (const auto& path : tracked.value_or(std::vector<std::string>())) {
        const bool meant = is_meant_for_git(path, app);
        const auto text = read_file(path, file_limit);
        if (text && config::is_private_key(*text)) {
            faults.push_back({path, 0, "", "holds a private key, and is tracked by git",
                              "git rm --cached " + path + ", and make a new key", false});
        } else if (!meant) {
            faults.push_back({path, 0, "", "is tracked by git: whoever has the repository has it",
                              "git rm --cached " + path + ", and name it in .gitignore", true});
        }
    }
}

// Those that lie on this machine.
void check_places(const config::Server& server, const Context& ctx,
                  std::vector<config::Fault>& faults) {
    for (const auto& [name, environment] : server.environments) {
        config::Environment here = environment;
        std::erase_if(here.release.env_files,
                      [](const std::string& file) { return ::access(file.c_str(), R_OK) != 0; });
        std::erase_if(here.release.key_files,
                      [](const auto& key) { return ::access(key.second.file.c_str(), R_OK) != 0; });
        auto found = release::check_files(here, ctx);
        for (auto& fault : release::read_variables(here.release.env_files, here.env).faults) {
            found.push_back(std::move(fault));
        }
        for (auto& fault : found) {
            if (std::ranges::find(faults, fault) == faults.end()) {
                faults.push_back(std::move(fault));
            }
        }
    }
}

}    // namespace

int run_init(bool force, const Globals& globals) {
    const auto findings = config::inspect_repository(std::filesystem::current_path());
    if (!findings) {
        return report(findings.error(), globals);
    }
    std::vector<std::pair<std::string, std::string>> files = {{"seatrial.yaml", findings->yaml}};
    if (!findings->server_yaml.empty()) {
        files.emplace_back("seatrial-server.yaml", findings->server_yaml);
    }
    for (const auto& [file, text] : files) {
        if (!force && ::access(file.c_str(), F_OK) == 0) {
            return report({Code::refused, file + " is there already",
                           "edit it, check it with `seatrial check`, or write it anew with --force",
                           "", nullptr},
                          globals);
        }
    }
    for (const auto& [file, text] : files) {
        if (const auto written = write_file_atomic(file, text); !written) {
            return report(written.error(), globals);
        }
    }
    if (globals.json) {
        json names = json::array();
        for (const auto& [file, text] : files) {
            names.push_back(file);
        }
        print_json({{"file", "seatrial.yaml"},
                    {"files", names},
                    {"notes", findings->notes},
                    {"questions", findings->questions}});
        return 0;
    }
    for (const auto& [file, text] : files) {
        std::printf("wrote %s\n", paint(file, Tone::bold).c_str());
    }
    for (const auto& note : findings->notes) {
        std::printf("  %s %s\n", paint("found", Tone::good).c_str(), printable(note).c_str());
    }
    for (const auto& question : findings->questions) {
        std::printf("  %s %s\n", paint("check", Tone::warn).c_str(), printable(question).c_str());
    }
    std::printf("Next: read it, `seatrial check`, commit it, `seatrial up`.\n");
    if (files.size() > 1) {
        std::printf(
            "For releases: seatrial-server.yaml belongs to the server, not into git: "
            "`seatrial serve --config seatrial-server.yaml`, `seatrial deploy stg`.\n");
    }
    return 0;
}

int run_check(const std::string& name, const Globals& globals) {
    const auto text = read_file(name, file_limit);
    if (!text) {
        Error error = text.error();
        if (error.code == Code::not_found) {
            error.code = Code::invalid;
            error.hint = "`seatrial init` writes one from what the repository shows";
        }
        return report(error, globals);
    }
    const Interrupt interrupt;
    const Context ctx = interrupt.context().with_timeout(check_time);
    // With a server's file, a branch must not bring keys of its own for it.
    auto faults = globals.config.empty() ? config::check_combined(*text, name)
                                         : config::parse_app(*text, name, false).faults;
    if (!globals.config.empty()) {
        const auto server = read_file(globals.config, file_limit);
        if (!server) {
            return report(server.error(), globals);
        }
        for (auto& fault : config::parse_server(*server, globals.config).faults) {
            faults.push_back(std::move(fault));
        }
        check_places(config::parse_server(*server, globals.config).value, ctx, faults);
    } else {
        check_places(config::parse_server(*text, name, true).value, ctx, faults);
    }
    check_tracked(config::parse_app(*text, name, true).value, ctx, faults);
    int errors = 0;
    json list = json::array();
    for (const auto& fault : faults) {
        errors += fault.warning ? 0 : 1;
        list.push_back(fault_json(fault));
        if (!globals.json) {
            std::printf(
                "%s %s\n",
                paint(fault.warning ? "warning" : "error", fault.warning ? Tone::warn : Tone::bad)
                    .c_str(),
                printable(config::render_fault(fault)).c_str());
        }
    }
    if (globals.json) {
        print_json({{"file", name}, {"ok", errors == 0}, {"faults", list}});
    } else if (errors == 0) {
        std::printf("%s is good%s\n", name.c_str(), faults.empty() ? "" : " (with warnings)");
    }
    return errors == 0 ? 0 : 2;
}

int run_reference(const std::string& folder) {
    const std::filesystem::path to = folder;
    const std::pair<const char*, std::string> pages[] = {
        {"configuration.md", config::reference_page()},
        {"seatrial.schema.json", config::json_schema()},
        {"api.md", api::reference_page()},
        {"commands.md", commands_page()},
    };
    for (const auto& [name, text] : pages) {
        if (const auto written = write_file_atomic(to / name, text); !written) {
            return report(written.error(), {});
        }
    }
    return 0;
}

}    // namespace seatrial::cli
