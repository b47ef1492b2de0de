// The commands that ask the daemon about previews: ls, show, logs, explain, stop, extend, pin,
// cleanup, backup.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "cli/follow.h"
#include "cli/globals.h"
#include "cli/interrupt.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

std::string preview_path(const KeyOptions& options, const std::string& tail = "") {
    return "/api/v1/previews/" + encode(options.key) + tail +
           (options.env.empty() ? "" : "?env=" + encode(options.env));
}

std::string left_of(const json& preview) {
    if (preview.value("pinned", false)) {
        return "pinned";
    }
    const auto expires = parse_time(text_of(preview, "expires_at"));
    if (!expires || text_of(preview, "state") == "removed") {
        return "-";
    }
    const auto left = *expires - now_utc();
    return left.count() > 0 ? "in " + render_duration(left) : "now";
}

Tone tone_of(const std::string& state) {
    if (state == "running") {
        return Tone::good;
    }
    return state == "failed" ? Tone::bad : Tone::warn;
}

std::string first_url(const json& preview) {
    const json urls = preview["urls"].is_object() ? preview["urls"] : json::object();
    if (urls.contains("web")) {
        return urls["web"].get<std::string>();
    }
    return urls.empty() ? "-" : urls.begin()->get<std::string>();
}

void print_steps(const json& steps) {
    for (const auto& step : steps) {
        const std::string state = text_of(step, "state");
        std::printf(
            "  %-10s %-26s %10s  %s\n", state.c_str(), text_of(step, "title").c_str(),
            render_duration(std::chrono::milliseconds(step.value("ms", 0))).c_str(),
            state == "failed" || state == "started" ? cut(text_of(step, "line"), 60).c_str() : "");
    }
}

void print_receipt(const json& receipt) {
    std::printf(
        "%s %s, trash %.1f MB (emptied by the collector)\n", paint("receipt:", Tone::bold).c_str(),
        render_duration(std::chrono::milliseconds(receipt.value("elapsed_ms", 0LL))).c_str(),
        static_cast<double>(receipt.value("trash_bytes", 0LL)) / (1 << 20));
    for (const auto& item : receipt.value("resources", json::array())) {
        std::printf(
            "  %s %-12s %s%s\n", paint("gone", Tone::good).c_str(), text_of(item, "type").c_str(),
            text_of(item, "name").c_str(),
            item.value("note", "").empty() ? "" : ("  (" + text_of(item, "note") + ")").c_str());
    }
}

void print_fault(const json& failure) {
    std::printf("%s at \"%s\": %s\n", paint("failed", Tone::bad).c_str(),
                text_of(failure, "title").c_str(),
                printable(failure.value("message", ""), true).c_str());
    if (failure.contains("hint")) {
        std::printf("  %s\n", printable(failure.value("hint", ""), true).c_str());
    }
}

void print_components(const json& components) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& component : components) {
        const std::string memory =
            component["memory_bytes"].is_number()
                ? std::to_string(component["memory_bytes"].get<std::int64_t>() >> 20) + " MB"
                : "-";
        rows.push_back({text_of(component, "name"), text_of(component, "state"),
                        component["url"].is_string() ? text_of(component, "url") : "-", memory,
                        component["detail"].is_string() ? text_of(component, "detail") : ""});
    }
    if (!rows.empty()) {
        print_table({"COMPONENT", "STATE", "URL", "MEMORY", ""}, rows);
    }
}

template <class Print>
int show_answer(const Result<json>& answer, const Globals& globals, const Print& print) {
    if (!answer) {
        return report(answer.error(), globals);
    }
    if (globals.json) {
        print_json(*answer);
    } else {
        print(*answer);
    }
    return 0;
}

}    // namespace

int run_ls(const LsOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    std::string path = "/api/v1/previews?removed=" + std::string(options.all ? "1" : "0");
    path += "&app=" + encode(options.app) + "&env=" + encode(options.env);
    const auto answer = daemon.get(path, interrupt.context());
    return show_answer(answer, globals, [](const json& document) {
        std::vector<std::vector<std::string>> rows;
        for (const auto& preview : document["previews"]) {
            rows.push_back({text_of(preview, "app") + "/" + text_of(preview, "key"),
                            text_of(preview, "env"), text_of(preview, "state"),
                            text_of(preview, "branch"), text_of(preview, "commit").substr(0, 10),
                            first_url(preview), left_of(preview)});
        }
        if (rows.empty()) {
            std::printf("No previews. `seatrial up` starts one from the branch you are on.\n");
            return;
        }
        print_table({"PREVIEW", "ENV", "STATE", "BRANCH", "COMMIT", "URL", "REMOVED"}, rows);
    });
}

int run_show(const KeyOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto answer = daemon.get(preview_path(options), interrupt.context());
    return show_answer(answer, globals, [](const json& preview) {
        const std::string state = text_of(preview, "state");
        std::printf(
            "%s  %s  %s\n",
            paint(text_of(preview, "app") + "/" + text_of(preview, "key"), Tone::bold).c_str(),
            text_of(preview, "env").c_str(), paint(state, tone_of(state)).c_str());
        std::printf("branch    %s at %s\n", text_of(preview, "branch").c_str(),
                    text_of(preview, "commit").substr(0, 12).c_str());
        std::printf("asked by  %s, created %s\n", text_of(preview, "requested_by").c_str(),
                    text_of(preview, "created_at").c_str());
        std::printf("removed   %s\n", left_of(preview).c_str());
        if (preview["branch_problem"].is_string()) {
            std::printf(
                "%s its repository cannot be read by the daemon: the end of the branch goes "
                "unnoticed, only time ends it\n          %s\n",
                paint("branch   ", Tone::warn).c_str(), text_of(preview, "branch_problem").c_str());
        }
        print_moved(preview);
        if (preview["database"].is_string()) {
            std::printf("database  %s\n", text_of(preview, "database").c_str());
        }
        if (preview["isolation"].is_object()) {
            std::printf("isolation %s\n", text_of(preview["isolation"], "level").c_str());
            for (const auto& missing : preview["isolation"].value("missing", json::array())) {
                std::printf("          %s\n", missing.get<std::string>().c_str());
            }
        }
        if (preview["waiting"].is_object()) {
            std::printf("%s %s (next try %s)\n", paint("waiting", Tone::warn).c_str(),
                        text_of(preview["waiting"], "message").c_str(),
                        text_of(preview["waiting"], "retry_at").c_str());
        }
        if (preview["failure"].is_object()) {
            print_fault(preview["failure"]);
        }
        if (preview["operation"].is_object() && preview["operation"].contains("failure")) {
            std::printf("The last update failed; the old commit goes on serving.\n");
            print_fault(preview["operation"]["failure"]);
        }
        print_components(preview["components"]);
        print_steps(preview["steps"]);
        if (preview["receipt"].is_object() && state == "removed") {
            print_receipt(preview["receipt"]);
        }
    });
}

int run_logs(const LogsOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const std::string query =
        (options.env.empty() ? "?" : "&") + std::string("component=") + encode(options.component);
    if (!options.follow) {
        const auto answer = daemon.get(preview_path(options, "/logs") + query, interrupt.context());
        return show_answer(answer, globals, [](const json& document) {
            for (const auto& log : document["logs"]) {
                std::printf("%s\n", paint("== " + text_of(log, "component"), Tone::bold).c_str());
                std::printf("%s\n", printable(log.value("text", ""), true).c_str());
            }
        });
    }
    const auto ended = daemon.listen(
        preview_path(options, "/logs/stream") + query,
        [&](const net::Event& event) {
            const json data = json::parse(event.data, nullptr, false);
            if (globals.json) {
                print_json(data);
                return true;
            }
            const std::string component = text_of(data, "component");
            const std::string text = data.value("text", "");
            for (const auto line : split(trim(text), '\n')) {
                std::printf("%s %s\n", paint(component + " |", Tone::dim).c_str(),
                            printable(line).c_str());
            }
            std::fflush(stdout);
            return true;
        },
        interrupt.context());
    if (!ended && ended.error().code != Code::cancelled) {
        return report(ended.error(), globals);
    }
    return ended ? 0 : 130;
}

int run_explain(const KeyOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto answer = daemon.get(preview_path(options, "/explain"), interrupt.context());
    return show_answer(answer, globals, [](const json& document) {
        for (const auto& line : document["lines"]) {
            std::printf("%s\n", printable(line.get<std::string>(), true).c_str());
        }
    });
}

int run_stop(const StopOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    DaemonClient daemon(globals);
    const auto wanted = daemon.call("DELETE", preview_path(options), nullptr, ctx);
    if (!wanted) {
        return report(wanted.error(), globals);
    }
    if (options.no_wait) {
        return show_answer(wanted, globals, [&](const json&) {
            std::printf("%s is being removed.\n", printable(options.key).c_str());
        });
    }
    json outcome;
    Result<std::string> result;
    {
        StepList steps(globals.json);
        result = follow(daemon, wanted->value("life", ""), wanted->value("generation", 0LL),
                        wanted->value("after", 0LL), steps, outcome, ctx);
    }
    if (!result) {
        if (ctx.cancelled()) {
            std::fprintf(stderr, "The removal of %s goes on.\n", printable(options.key).c_str());
            return 130;
        }
        return report(result.error(), globals);
    }
    if (globals.json) {
        print_json(outcome);
    } else {
        std::printf("\n%s is removed\n", paint(printable(options.key), Tone::bold).c_str());
        print_receipt(outcome.value("receipt", json::object()));
    }
    return 0;
}

int run_extend(const KeyOptions& options, double hours, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto answer = daemon.call("POST", preview_path(options, "/extend"), {{"hours", hours}},
                                    interrupt.context());
    return show_answer(answer, globals, [](const json& preview) {
        std::printf("%s lives until %s\n", text_of(preview, "key").c_str(),
                    text_of(preview, "expires_at").c_str());
    });
}

int run_pin(const KeyOptions& options, bool pinned, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto answer = daemon.call("POST", preview_path(options, "/pin"), {{"pinned", pinned}},
                                    interrupt.context());
    return show_answer(answer, globals, [&](const json& preview) {
        std::printf(
            "%s %s\n", text_of(preview, "key").c_str(),
            pinned ? "is pinned: it does not expire" : ("expires " + left_of(preview)).c_str());
    });
}

int run_cleanup(const CleanupOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto answer = daemon.call("POST", "/api/v1/previews/cleanup",
                                    {{"dryRun", options.dry_run}, {"confirmed", options.confirm}},
                                    interrupt.context());
    return show_answer(answer, globals, [&](const json& report) {
        const char* verb = options.dry_run ? "would end" : "ends";
        for (const auto& life : report["expired"]) {
            std::printf("%s %s/%s in %s (past its time)\n", verb, text_of(life, "app").c_str(),
                        text_of(life, "key").c_str(), text_of(life, "env").c_str());
        }
        for (const char* list : {"orphans", "unused"}) {
            for (const auto& item : report.value(list, json::array())) {
                std::printf("%s %s %s (%s)\n", item.value("removed", false) ? "removed" : "found",
                            text_of(item, "type").c_str(), text_of(item, "name").c_str(),
                            std::string_view(list) == "unused" ? "no longer used" : "nobody's");
            }
        }
        for (const auto& item : report.value("unlisted", json::array())) {
            std::printf("%s could not be listed: %s\n", text_of(item, "type").c_str(),
                        text_of(item, "error").c_str());
        }
        for (const auto& image : report.value("images", json::array())) {
            std::printf("%s image %s (no release in use needs it)\n",
                        options.dry_run ? "would remove" : "removed",
                        text_of(image, "name").c_str());
        }
        if (const auto bytes = report.value("build_cache", json::object()).value("freed", 0LL);
            bytes > 0) {
            std::printf("%s %lld MB of the cache of builds\n",
                        options.dry_run ? "would remove" : "removed", bytes >> 20);
        }
        const auto trash = report.value("trash", json::array()).size();
        if (trash > 0) {
            std::printf("emptied %zu from the trash\n", trash);
        }
        for (const auto& item : report.value("salvage", json::array())) {
            std::printf("removed old saved work %s in mirror %s\n", text_of(item, "name").c_str(),
                        text_of(item, "mirror").c_str());
        }
        if (report.value("asks", false)) {
            std::printf(
                "This is more than the collector removes unasked: look at the list, then "
                "`seatrial cleanup --confirm`.\n");
        }
        std::printf("%s\n", options.dry_run ? "Nothing was changed." : "Done.");
    });
}

int run_backup(const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto answer = daemon.call("POST", "/api/v1/backup", json::object(), interrupt.context());
    return show_answer(answer, globals, [](const json& document) {
        std::printf("records copied to %s\n", text_of(document, "file").c_str());
    });
}

}    // namespace seatrial::cli
