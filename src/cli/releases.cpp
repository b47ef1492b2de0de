// The commands of releases: build, deploy, promote, rollback, releases, history, incidents.
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "cli/checkout.h"
#include "cli/globals.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "config/config.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? printable(found->get<std::string>(), true)
                                                       : "";
}

// --app, else the app of the repository one stands in.
Result<std::string> app_name(const std::string& given, const Context& ctx) {
    if (!given.empty()) {
        return given;
    }
    TRY_ASSIGN(const auto checkout, find_checkout("", ctx));
    std::string app = config::parse_app(checkout.text, std::string(app_file), true).value.name;
    if (app.empty()) {
        return fail(Code::invalid, "no app is named here",
                    "go to its repository, or name it with --app");
    }
    return app;
}

Result<json> build(DaemonClient& daemon, const std::string& branch, const Globals& globals,
                   const Context& ctx) {
    TRY_ASSIGN(const auto checkout, find_checkout(branch, ctx));
    if (!globals.json) {
        std::printf("building %s\n", checkout.commit.substr(0, 12).c_str());
        std::fflush(stdout);
    }
    return post_with_commit(daemon, globals, checkout, "/api/v1/releases",
                            {{"appText", checkout.text},
                             {"appFile", app_file},
                             {"repository", checkout.repository.common_dir.string()},
                             {"commit", checkout.commit},
                             {"branchName", checkout.branch}},
                            true, ctx);
}

void print_release(const json& release) {
    std::printf("%s %s\n", paint("release", Tone::bold).c_str(), text_of(release, "tag").c_str());
    const json components = release.value("components", json::object());
    for (const auto& [name, part] : components.items()) {
        std::printf("  %-12s %s  %s\n", printable(name).c_str(), text_of(part, "name").c_str(),
                    text_of(part, "image").substr(0, 19).c_str());
    }
}

// One line for what happened; "" for what people need not see.
std::string line_of(const std::string& kind, const json& data) {
    const std::string slot = text_of(data, "slot");
    if (kind == "starting") {
        return "starting " + text_of(data, "tag") + " in slot " + slot;
    }
    if (kind == "healthy") {
        return "healthy after " + render_duration(std::chrono::milliseconds(data.value("ms", 0LL)));
    }
    if (kind == "checked") {
        return std::to_string(data.value("checks", 0)) + " smoke checks passed, unseen by users";
    }
    if (kind == "share") {
        const int per_mille = data.value("per_mille", 0);
        return std::to_string(per_mille / 10) +
               (per_mille % 10 == 0 ? "" : "." + std::to_string(per_mille % 10)) +
               " % of the users are on it";
    }
    if (kind == "switched") {
        char took[32];
        std::snprintf(took, sizeof took, "%.1f ms",
                      static_cast<double>(data.value("switch_us", 0LL)) / 1000);
        return "users are on " + text_of(data, "tag") + " (switched in " + took + ")";
    }
    if (kind == "drained" || kind == "closed") {
        return "slot " + slot + (kind == "drained" ? " is drained" : ": open requests were ended") +
               ", kept warm";
    }
    if (kind == "receipt") {
        std::string out = "receipt: " + std::to_string(data.value("requests", 0LL)) +
                          " requests in the last 5 minutes, " +
                          std::to_string(data.value("failed", 0LL)) + " failed";
        const json gates = data.value("gates", json::array());
        for (const auto& gate : gates) {
            out += "; " + printable(gate.get<std::string>());
        }
        return out;
    }
    if (kind == "waiting") {
        return "waiting: " + text_of(data, "message");
    }
    return "";
}

struct Outcome {
    std::string kind;
    json data;
};

// Until users are on the release (or its receipt, with `receipt`), or it has failed.
Result<Outcome> follow(DaemonClient& daemon, const json& deploying, bool receipt,
                       const Globals& globals, const Context& ctx) {
    const auto generation = deploying.value("generation", 0LL);
    Outcome out;
    TRY(daemon.listen(
        "/api/v1/events?life=" + encode(deploying.value("life", "")) +
            "&after=" + std::to_string(deploying.value("after", 0LL)),
        [&](const net::Event& message) {
            const json event = json::parse(message.data, nullptr, false);
            if (!event.is_object() || event.value("generation", 0LL) < generation) {
                return true;
            }
            const std::string kind = event.value("kind", "");
            const json data = event.value("data", json::object());
            if (event.value("generation", 0LL) > generation) {
                out = {"superseded", data};
                return false;
            }
            const std::string line = line_of(kind, data);
            if (globals.json) {
                std::printf("%s\n", event.dump().c_str());
            } else if (!line.empty()) {
                std::printf("  %s\n", line.c_str());
            }
            std::fflush(stdout);
            const bool bad = kind == "failed" || kind == "reverted" || kind == "stopped";
            const bool good =
                kind == "receipt" || kind == "settled" || (kind == "switched" && !receipt);
            if (bad || good) {
                out = {kind, data};
            }
            return !bad && !good;
        },
        ctx));
    return out;
}

int finish(const Outcome& outcome, const std::string& env, const Globals& globals) {
    const bool good =
        outcome.kind == "switched" || outcome.kind == "receipt" || outcome.kind == "settled";
    if (good || globals.json) {
        return good ? 0 : 1;
    }
    if (outcome.kind == "superseded") {
        std::fprintf(stderr, "seatrial: a newer request took over; `seatrial history %s`\n",
                     printable(env).c_str());
        return 1;
    }
    const std::string why = text_of(outcome.data, "message") + text_of(outcome.data, "why");
    std::fprintf(stderr, "seatrial: %s in %s: %s\n", outcome.kind.c_str(), printable(env).c_str(),
                 why.c_str());
    if (const std::string hint = text_of(outcome.data, "hint"); !hint.empty()) {
        std::fprintf(stderr, "  %s\n", hint.c_str());
    }
    std::fprintf(stderr, outcome.kind == "stopped"
                             ? "  Nothing moves until you deploy or roll back.\n"
                             : "  Users stay on the release before.\n");
    return 1;
}

// Posts, follows, and tells how it ended. Ctrl-C only ends the watching.
int deploy_and_follow(DaemonClient& daemon, const std::string& path, const json& body,
                      const DeployOptions& options, const Globals& globals, const Context& ctx) {
    const auto deploying = daemon.call("POST", path, body, ctx);
    if (!deploying) {
        return report(deploying.error(), globals);
    }
    if (options.no_wait) {
        if (globals.json) {
            print_json(*deploying);
        }
        return 0;
    }
    const auto outcome = follow(daemon, *deploying, options.wait, globals, ctx);
    if (!outcome) {
        if (ctx.cancelled()) {
            std::fprintf(stderr, "\nIt goes on; `seatrial history %s` tells how it ended.\n",
                         printable(options.env).c_str());
            return 130;
        }
        return report(outcome.error(), globals);
    }
    return finish(*outcome, options.env, globals);
}

int print_list(const Result<json>& list, const Globals& globals,
               const std::vector<std::string>& head,
               const std::function<std::vector<std::string>(const json&)>& row,
               const char* nothing) {
    if (!list) {
        return report(list.error(), globals);
    }
    if (globals.json) {
        print_json(*list);
        return 0;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& one : *list) {
        rows.push_back(row(one));
    }
    if (rows.empty()) {
        std::printf("%s\n", nothing);
    } else {
        print_table(head, rows);
    }
    return 0;
}

}    // namespace

int run_build(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto release = build(daemon, options.branch, globals, interrupt.context());
    if (!release) {
        return interrupt.context().cancelled() ? 130 : report(release.error(), globals);
    }
    if (globals.json) {
        print_json(*release);
    } else {
        print_release(*release);
    }
    return 0;
}

int run_deploy(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    DaemonClient daemon(globals);
    json body = {{"env", options.env}, {"reason", options.reason}};
    if (options.release.empty()) {
        const auto release = build(daemon, options.branch, globals, ctx);
        if (!release) {
            return ctx.cancelled() ? 130 : report(release.error(), globals);
        }
        if (!globals.json) {
            print_release(*release);
        }
        body["app"] = (*release)["app"];
        body["release"] = (*release)["id"];
    } else {
        const auto app = app_name(options.app, ctx);
        if (!app) {
            return report(app.error(), globals);
        }
        body["app"] = *app;
        body["release"] = options.release;
    }
    return deploy_and_follow(daemon, "/api/v1/deployments", body, options, globals, ctx);
}

int run_promote(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    const auto app = app_name(options.app, ctx);
    if (!app) {
        return report(app.error(), globals);
    }
    DaemonClient daemon(globals);
    return deploy_and_follow(
        daemon, "/api/v1/deployments",
        {{"app", *app}, {"env", options.env}, {"from", options.from}, {"reason", options.reason}},
        options, globals, ctx);
}

int run_rollback(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    const auto app = app_name(options.app, ctx);
    if (!app) {
        return report(app.error(), globals);
    }
    DaemonClient daemon(globals);
    return deploy_and_follow(
        daemon, "/api/v1/deployments/rollback",
        {{"app", *app}, {"env", options.env}, {"to", options.release}, {"reason", options.reason}},
        options, globals, ctx);
}

int run_releases(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    const auto app = app_name(options.app, ctx);
    if (!app) {
        return report(app.error(), globals);
    }
    DaemonClient daemon(globals);
    const auto places = daemon.get("/api/v1/deployments?app=" + encode(*app), ctx);
    std::map<std::string, std::string> serving;    // tag → environments
    for (const auto& place : places.value_or(json::array())) {
        const std::string tag = text_of(place, "serving");
        serving[tag] += (serving[tag].empty() ? "" : ", ") + text_of(place, "env");
    }
    return print_list(
        daemon.get("/api/v1/releases?app=" + encode(*app), ctx), globals,
        {"RELEASE", "BUILT", "BRANCH", "SERVES IN", ""},
        [&](const json& release) {
            return std::vector<std::string>{
                text_of(release, "tag"), text_of(release, "at"), text_of(release, "branch"),
                serving[text_of(release, "tag")],
                text_of(release, "rejected").empty() ? ""
                                                     : "rejected: " + text_of(release, "rejected")};
        },
        "There are no releases yet; `seatrial build` makes one.");
}

int run_history(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    const auto app = app_name(options.app, ctx);
    if (!app) {
        return report(app.error(), globals);
    }
    DaemonClient daemon(globals);
    return print_list(
        daemon.get(
            "/api/v1/deployments/history?app=" + encode(*app) + "&env=" + encode(options.env), ctx),
        globals, {"WHEN", "WHAT", "WHO", ""},
        [](const json& event) {
            const json data = event.value("data", json::object());
            const std::string kind = text_of(event, "kind");
            std::string line = line_of(kind, data);
            if (line.empty()) {
                line = text_of(data, "tag") + text_of(data, "message") + text_of(data, "why");
            }
            return std::vector<std::string>{text_of(event, "at"), kind, text_of(event, "actor"),
                                            line.substr(0, line.find('\n'))};
        },
        "Nothing was deployed there yet.");
}

int run_incidents(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    return print_list(
        daemon.get("/api/v1/incidents?app=" + encode(options.app) + "&env=" + encode(options.env),
                   interrupt.context()),
        globals, {"WHEN", "APP", "ENV", "RELEASE", "BACK TO", "CAUSE"},
        [](const json& incident) {
            return std::vector<std::string>{
                text_of(incident, "at"),  text_of(incident, "app"),     text_of(incident, "env"),
                text_of(incident, "tag"), text_of(incident, "back_to"), text_of(incident, "cause")};
        },
        "There are no incidents.");
}

}    // namespace seatrial::cli
