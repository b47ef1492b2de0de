// seatrial up: from the repository one stands in to a running preview.
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "cli/checkout.h"
#include "cli/follow.h"
#include "cli/globals.h"
#include "cli/interrupt.h"
#include "cli/issue_key.h"
#include "config/config.h"
#include "git/mirror.h"
#include "git/ref_files.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds daemon_start{30};

struct Asked {
    Checkout checkout;
    std::string base_commit;    // of the repository's default branch, "" when it is not known
    std::string key;
};

std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Result<Asked> look_around(const UpOptions& options, const Context& ctx) {
    Asked asked;
    TRY_ASSIGN(asked.checkout, find_checkout(options.branch, ctx));
    asked.base_commit = git::read_ref(asked.checkout.repository.common_dir,
                                      asked.checkout.repository.default_branch)
                            .value_or("");
    std::string pattern;
    if (!asked.checkout.text.empty()) {
        pattern =
            config::parse_app(asked.checkout.text, std::string(app_file), true).value.issue_pattern;
    }
    asked.key = options.issue.empty() ? issue_key(asked.checkout.ref, pattern) : options.issue;
    return asked;
}

Result<json> request_body(const UpOptions& options, const Asked& asked) {
    json body = {{"issueKey", asked.key},
                 {"branchName", asked.checkout.branch},
                 {"baseBranch", asked.checkout.repository.default_branch},
                 {"baseCommit", asked.base_commit},
                 {"commit", asked.checkout.commit},
                 {"repository", asked.checkout.repository.common_dir.string()},
                 {"appFile", app_file},
                 {"appText", asked.checkout.text},
                 {"appName", asked.checkout.repository.root.filename().string()},
                 {"variables", config::preview_variables(variable)},
                 {"replace", options.replace},
                 {"freshTemplate", options.fresh_template},
                 {"freshDatabase", options.fresh_database}};
    if (!options.env.empty()) {
        body["env"] = options.env;
    }
    if (!options.keep_failed.empty()) {
        TRY_ASSIGN(const auto keep, parse_duration(options.keep_failed));
        body["keepFailedMs"] = keep.count();
    }
    if (!options.ttl.empty()) {
        TRY_ASSIGN(const auto ttl, parse_duration(options.ttl));
        body["ttlMs"] = ttl.count();
    }
    return body;
}

void print_running(const json& preview, bool update) {
    std::printf("\n%s is %s%s\n", paint(printable(preview.value("key", "")), Tone::bold).c_str(),
                paint("running", Tone::good).c_str(), update ? " (updated)" : "");
    const json urls = preview["urls"].is_object() ? preview["urls"] : json::object();
    for (const auto& [name, url] : urls.items()) {
        std::printf("  %-10s %s\n", name.c_str(), url.get<std::string>().c_str());
    }
    print_moved(preview);
    if (preview["expires_at"].is_string()) {
        const auto expires = parse_time(preview["expires_at"].get<std::string>());
        if (expires) {
            std::printf("  removed in %s (`seatrial extend %s --hours 4`, `seatrial pin %s`)\n",
                        render_duration(*expires - now_utc()).c_str(),
                        printable(preview.value("key", "")).c_str(),
                        printable(preview.value("key", "")).c_str());
        }
    }
    for (const auto& missing : preview["isolation"].value("missing", json::array())) {
        std::printf("  %s %s\n", paint("isolation:", Tone::warn).c_str(),
                    missing.get<std::string>().c_str());
    }
}

int print_failure(const json& outcome, const std::string& key) {
    const json failure = outcome.value("failure", json::object());
    std::fprintf(stderr, "seatrial: %s failed at \"%s\": %s\n", printable(key).c_str(),
                 printable(failure.value("title", "?")).c_str(),
                 printable(failure.value("message", ""), true).c_str());
    if (failure.contains("hint")) {
        std::fprintf(stderr, "  %s\n", printable(failure.value("hint", ""), true).c_str());
    }
    if (outcome.value("result", "") == "kept") {
        std::fprintf(stderr, "  The running preview was not touched and goes on serving.\n");
    }
    std::fprintf(stderr, "  `seatrial logs %s` shows the logs, `seatrial explain %s` the story.\n",
                 printable(key).c_str(), printable(key).c_str());
    return 1;
}

// Ctrl-C: a first start is taken back, an update goes on.
int interrupted(DaemonClient& daemon, const Asked& asked, const json& wanted,
                const Globals& globals) {
    const bool update = wanted.value("update", false);
    if (update) {
        std::fprintf(stderr, "\nThe update of %s goes on; `seatrial show %s` tells how it ended.\n",
                     printable(asked.key).c_str(), printable(asked.key).c_str());
        return 130;
    }
    std::fprintf(stderr, "\nCancelling the start of %s (Ctrl-C again leaves at once)\n",
                 printable(asked.key).c_str());
    const Context patience = Context().with_timeout(std::chrono::minutes(2));
    const auto stop =
        daemon.call("DELETE", "/api/v1/previews/" + encode(asked.key), nullptr, patience);
    if (!stop) {
        report(stop.error(), globals);
        return 130;
    }
    StepList steps(globals.json);
    json outcome;
    const auto result = follow(daemon, stop->value("life", ""), stop->value("generation", 0LL),
                               stop->value("after", 0LL), steps, outcome, patience);
    steps.finish();
    if (!result) {
        report(result.error(), globals);
    } else {
        std::fprintf(stderr, "Cancelled; nothing is left.\n");
    }
    return 130;
}

// What a finished wait tells, and its exit code.
int finish(DaemonClient& daemon, const Asked& asked, const UpOptions& options, const json& wanted,
           const std::string& result, const json& outcome, const Globals& globals) {
    const Context ctx = Context().with_timeout(daemon_start);
    const std::string path = "/api/v1/previews/" + encode(asked.key) +
                             (options.env.empty() ? "" : "?env=" + encode(options.env));
    if (globals.json) {
        const auto preview = daemon.get(path, ctx);
        json out = preview ? *preview : json::object();
        out["outcome"] = result;
        print_json(out);
        return result == "running" ? 0 : 1;
    }
    if (result == "running") {
        const auto preview = daemon.get(path, ctx);
        if (!preview) {
            return report(preview.error(), globals);
        }
        print_running(*preview, wanted.value("update", false));
        return 0;
    }
    if (result == "superseded") {
        std::fprintf(stderr, "seatrial: a newer request took over; `seatrial show %s`\n",
                     printable(asked.key).c_str());
        return 1;
    }
    return print_failure(outcome, asked.key);
}

}    // namespace

int run_up(const UpOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    const auto asked = look_around(options, ctx);
    if (!asked) {
        return report(asked.error(), globals);
    }
    const auto body = request_body(options, *asked);
    if (!body) {
        return report(body.error(), globals);
    }
    DaemonClient daemon(globals);
    const auto wanted = post_with_commit(daemon, globals, asked->checkout, "/api/v1/previews",
                                         *body, !options.no_start, ctx);
    if (!wanted) {
        return ctx.cancelled() ? 130 : report(wanted.error(), globals);
    }
    if (options.no_wait) {
        if (globals.json) {
            print_json(*wanted);
        } else {
            std::printf("%s is under way; `seatrial show %s` tells how far it is.\n",
                        printable(asked->key).c_str(), printable(asked->key).c_str());
        }
        return 0;
    }
    const bool update = wanted->value("update", false);
    if (!globals.json) {
        std::printf("%s %s at %s\n", update ? "updating" : "starting",
                    paint(printable(asked->key), Tone::bold).c_str(),
                    asked->checkout.commit.substr(0, 12).c_str());
    }
    json outcome;
    Result<std::string> result;
    {
        StepList steps(globals.json);
        result = follow(daemon, wanted->value("life", ""), wanted->value("generation", 0LL),
                        wanted->value("after", 0LL), steps, outcome, ctx);
    }
    if (!result) {
        return ctx.cancelled() ? interrupted(daemon, *asked, *wanted, globals)
                               : report(result.error(), globals);
    }
    return finish(daemon, *asked, options, *wanted, *result, outcome, globals);
}

}    // namespace seatrial::cli
