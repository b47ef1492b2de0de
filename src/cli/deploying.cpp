#include "cli/deploying.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "cli/checkout.h"
#include "cli/event_lines.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "config/config.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

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

struct Outcome {
    std::string kind;
    json data;
};

// Until users are on the release (or its receipt, with `receipt`), or it has failed.
Result<Outcome> follow(DaemonClient& daemon, const json& deploying, bool receipt,
                       const Globals& globals, const Context& ctx) {
    auto generation = deploying.value("generation", 0LL);
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
            if (event.value("generation", 0LL) > generation && kind != "hold_lifted") {
                out = {"superseded", data};
                return false;
            }
            generation = event.value("generation", 0LL);
            const std::string line = line_of(kind, data);
            if (globals.json) {
                std::printf("%s\n", event.dump().c_str());
            } else if (!line.empty()) {
                std::printf("  %s\n", line.c_str());
            }
            std::fflush(stdout);
            const bool bad = kind == "failed" || kind == "reverted" || kind == "stopped" ||
                             kind == "restore_refused";
            // Switched with checks still to come: they may take it back.
            const bool there =
                kind == "proved" || (kind == "switched" && !data.value("proving", false));
            const bool good =
                kind == "receipt" || kind == "settled" || kind == "restored" || (there && !receipt);
            if (bad || good) {
                out = {kind, data};
            }
            return !bad && !good;
        },
        ctx));
    return out;
}

int finish(const Outcome& outcome, const std::string& env, const Globals& globals) {
    const bool good = outcome.kind == "switched" || outcome.kind == "proved" ||
                      outcome.kind == "receipt" || outcome.kind == "settled" ||
                      outcome.kind == "restored";
    if (good || globals.json) {
        return good ? 0 : 1;
    }
    if (outcome.kind == "superseded") {
        std::fprintf(stderr, "seatrial: a newer request took over; `seatrial history %s`\n",
                     printable(env).c_str());
        return 1;
    }
    const std::string why =
        text_of(outcome.data, "message", true) + text_of(outcome.data, "why", true);
    std::string what = outcome.kind;
    std::ranges::replace(what, '_', ' ');
    std::fprintf(stderr, "seatrial: %s in %s: %s\n", what.c_str(), printable(env).c_str(),
                 why.c_str());
    if (const std::string hint = text_of(outcome.data, "hint", true); !hint.empty()) {
        std::fprintf(stderr, "  %s\n", hint.c_str());
    }
    if (outcome.kind == "stopped") {
        std::fprintf(stderr,
                     "  Nothing moves until you decide: `seatrial rollback %s` takes it back.\n",
                     printable(env).c_str());
    } else if (outcome.kind == "restore_refused") {
        std::fprintf(stderr, "  The database was not changed.\n");
    } else {
        std::fprintf(stderr, "  Users stay on the release before.\n");
    }
    return 1;
}

}    // namespace

int with_app(const std::string& given, const Globals& globals, const AppCommand& run) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    const auto app = app_name(given, ctx);
    if (!app) {
        return ctx.cancelled() ? 130 : report(app.error(), globals);
    }
    DaemonClient daemon(globals);
    return run(daemon, *app, ctx);
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

namespace {

// Gives the deployment to follow; null when `code` is the end of it.
json await_approval(DaemonClient& daemon, const json& waiting, const DeployOptions& options,
                    const Globals& globals, int& code, const Context& ctx) {
    if (!globals.json) {
        print_waiting(waiting["approval"]);
    }
    auto decision = await_decision(daemon, waiting, globals, ctx);
    if (!decision) {
        if (!ctx.cancelled()) {
            code = report(decision.error(), globals);
            return nullptr;
        }
        std::fprintf(stderr,
                     "\nThe request stays; a yes starts it. The same command waits for it again, "
                     "`seatrial reject %s --reason TEXT` takes it back.\n",
                     text_of(waiting["approval"], "id").c_str());
        code = 130;
        return nullptr;
    }
    if (text_of(*decision, "state") != "approved") {
        code = finish_undecided(*decision, options.env, globals);
        return nullptr;
    }
    if (!globals.json) {
        std::printf("approved by %s\n", text_of(*decision, "by").c_str());
        std::fflush(stdout);
    }
    return std::move(*decision);
}

// What would be done, from the answer to a request with dryRun.
void print_rehearsal(const json& plan, const std::string& env, const Globals& globals) {
    if (globals.json) {
        print_json(plan);
        return;
    }
    const std::string serving = text_of(plan, "serving");
    std::printf("%s to %s%s\n", paint(text_of(plan, "tag"), Tone::bold).c_str(),
                printable(env).c_str(),
                serving.empty() ? "" : (", where " + serving + " serves").c_str());
    const json components = plan.value("components", json::object());
    for (const auto& [name, image] : components.items()) {
        std::printf("  %-12s %s\n", printable(name).c_str(),
                    printable(image.get<std::string>()).substr(0, 19).c_str());
    }
    if (const json migration = plan.value("migration", json()); migration.is_object()) {
        std::printf("  its migration runs%s\n",
                    migration.value("contract", false) ? "; there is no way back behind it" : "");
        for (const auto& note : migration.value("notes", std::vector<std::string>())) {
            std::printf("    %s\n", printable(note).c_str());
        }
    }
    for (const auto& [list, before] :
         {std::pair("differences", "allowed: "), std::pair("notes", "note: ")}) {
        for (const auto& one : plan.value(list, std::vector<std::string>())) {
            std::printf("  %s%s\n", before, printable(one).c_str());
        }
    }
    std::printf("%sNothing was changed.\n",
                plan.value("needs_approval", false) ? "It needs an approval. " : "");
}

}    // namespace

int deploy_and_follow(DaemonClient& daemon, const std::string& path, const json& body,
                      const DeployOptions& options, const Globals& globals, const Context& ctx) {
    auto deploying = daemon.call("POST", path, body, ctx);
    if (!deploying) {
        return report(deploying.error(), globals);
    }
    if (options.dry_run) {
        print_rehearsal(*deploying, options.env, globals);
        return 0;
    }
    const bool waits = deploying->contains("approval");
    if (options.no_wait) {
        if (globals.json) {
            print_json(*deploying);
        } else if (waits) {
            print_waiting((*deploying)["approval"]);
        }
        return 0;
    }
    if (waits) {
        int code = 0;
        *deploying = await_approval(daemon, *deploying, options, globals, code, ctx);
        if (deploying->is_null()) {
            return code;
        }
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

}    // namespace seatrial::cli
