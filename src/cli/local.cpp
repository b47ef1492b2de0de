// The commands that need no daemon: init, check, reference.
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/api.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/globals.h"
#include "cli/output.h"
#include "cli/reference.h"
#include "config/config.h"
#include "config/init.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;
constexpr std::size_t file_limit = 2 << 20;

json fault_json(const config::Fault& fault) {
    return {{"file", fault.file},       {"line", fault.line},     {"key", fault.key},
            {"message", fault.message}, {"remedy", fault.remedy}, {"warning", fault.warning}};
}

}    // namespace

int run_init(bool force, const Globals& globals) {
    const std::filesystem::path file = "seatrial.yaml";
    if (!force && ::access(file.c_str(), F_OK) == 0) {
        return report(
            {Code::refused, "seatrial.yaml is there already",
             "edit it, check it with `seatrial check`, or write it anew with --force", "", nullptr},
            globals);
    }
    const auto findings = config::inspect_repository(std::filesystem::current_path());
    if (!findings) {
        return report(findings.error(), globals);
    }
    if (const auto written = write_file_atomic(file, findings->yaml); !written) {
        return report(written.error(), globals);
    }
    if (globals.json) {
        print_json({{"file", file.string()},
                    {"notes", findings->notes},
                    {"questions", findings->questions}});
        return 0;
    }
    std::printf("wrote %s\n", paint(file.string(), Tone::bold).c_str());
    for (const auto& note : findings->notes) {
        std::printf("  %s %s\n", paint("found", Tone::good).c_str(), printable(note).c_str());
    }
    for (const auto& question : findings->questions) {
        std::printf("  %s %s\n", paint("check", Tone::warn).c_str(), printable(question).c_str());
    }
    std::printf("Next: read it, `seatrial check`, commit it, `seatrial up`.\n");
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
    }
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
