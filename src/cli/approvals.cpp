// Waiting for a person's yes or no, and giving one: approvals, approve, reject.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/client.h"
#include "cli/deploying.h"
#include "cli/interrupt.h"
#include "cli/output.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

std::string approvers_of(const json& approval) {
    std::string out;
    for (const auto& one : approval.value("approvers", std::vector<std::string>())) {
        out += (out.empty() ? "" : ", ") + printable(one);
    }
    return out.empty() ? "nobody" : out;
}

std::string what_of(const json& approval) {
    return text_of(approval, "action") + " " + text_of(approval, "tag") + " in " +
           text_of(approval, "env");
}

int decide(const ApprovalOptions& options, const char* answer, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto decided =
        daemon.call("POST", "/api/v1/approvals/" + encode(options.id) + "/" + answer,
                    {{"reason", options.reason}}, interrupt.context());
    if (!decided) {
        return report(decided.error(), globals);
    }
    if (globals.json) {
        print_json(*decided);
        return 0;
    }
    const json approval = decided->value("approval", json::object());
    std::printf("%s: %s\n", text_of(approval, "state").c_str(), what_of(approval).c_str());
    if (decided->contains("started")) {
        std::printf("  it goes on by itself; `seatrial history %s` tells how\n",
                    text_of(approval, "env").c_str());
    }
    return 0;
}

}    // namespace

void print_waiting(const json& approval) {
    std::printf("waiting for an approval: %s\n", what_of(approval).c_str());
    std::printf("  request  %s, until %s\n", text_of(approval, "id").c_str(),
                text_of(approval, "expires_at").c_str());
    for (const char* list : {"differences", "notes"}) {
        for (const auto& note : approval.value(list, std::vector<std::string>())) {
            std::printf("  %s %s\n", std::string_view(list) == "notes" ? "note    " : "differs ",
                        printable(note).c_str());
        }
    }
    std::printf("  who may  %s\n", approvers_of(approval).c_str());
    std::printf("  yes      seatrial approve %s\n", text_of(approval, "id").c_str());
    std::printf("  no       seatrial reject %s --reason TEXT\n", text_of(approval, "id").c_str());
    std::fflush(stdout);
}

Result<json> await_decision(DaemonClient& daemon, const json& waiting, const Globals& globals,
                            const Context& ctx) {
    json out;
    TRY(daemon.listen(
        "/api/v1/events?life=" + encode(waiting["approval"].value("id", "")) +
            "&after=" + std::to_string(waiting.value("after", 0LL)),
        [&](const net::Event& message) {
            const json event = json::parse(message.data, nullptr, false);
            if (!event.is_object() || event.value("kind", "") != "approval") {
                return true;
            }
            if (globals.json) {
                std::printf("%s\n", event.dump().c_str());
                std::fflush(stdout);
            }
            json data = event.value("data", json::object());
            if (text_of(data, "state") == "open") {
                return true;
            }
            data["by"] = event.value("actor", "");
            out = std::move(data);
            return false;
        },
        ctx));
    return out;
}

int finish_undecided(const json& decision, const std::string& env, const Globals& globals) {
    const std::string state = text_of(decision, "state");
    if (!globals.json) {
        const std::string why = text_of(decision, "decision_reason", true);
        const std::string by = state == "expired" ? "" : " by " + text_of(decision, "by");
        std::fprintf(stderr, "seatrial: the request was %s%s: %s\n  Nothing was changed in %s.\n",
                     state == "expired" ? "not answered in time" : state.c_str(), by.c_str(),
                     why.c_str(), printable(env).c_str());
    }
    return state == "rejected" ? 3 : state == "expired" ? 5 : 1;
}

int run_approvals(const ApprovalOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    return print_list(
        daemon.get("/api/v1/approvals?app=" + encode(options.app) + "&env=" + encode(options.env) +
                       (options.all ? "&all=1" : ""),
                   interrupt.context()),
        globals, {"ID", "APP", "WHAT", "STATE", "ASKED BY", "WHY", "UNTIL", "WHO MAY"},
        [](const json& approval) {
            const bool open = text_of(approval, "state") == "open";
            std::string state = text_of(approval, "state");
            if (!open && !text_of(approval, "decided_by").empty()) {
                state += " by " + text_of(approval, "decided_by");
            }
            const std::string answer = text_of(approval, "decision_reason");
            return std::vector<std::string>{text_of(approval, "id"),
                                            text_of(approval, "app"),
                                            what_of(approval),
                                            state + (answer.empty() ? "" : ": " + answer),
                                            text_of(approval, "asked_by"),
                                            text_of(approval, "reason"),
                                            open ? text_of(approval, "expires_at") : "",
                                            open ? approvers_of(approval) : ""};
        },
        options.all ? "Nobody has asked for an approval yet." : "Nothing waits for an approval.");
}

int run_approve(const ApprovalOptions& options, const Globals& globals) {
    return decide(options, "approve", globals);
}

int run_reject(const ApprovalOptions& options, const Globals& globals) {
    return decide(options, "reject", globals);
}

}    // namespace seatrial::cli
