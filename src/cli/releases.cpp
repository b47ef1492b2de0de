// The commands of releases: build, deploy, promote, rollback, resume, releases, history,
// incidents.
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.h"
#include "cli/checkout.h"
#include "cli/deploying.h"
#include "cli/event_lines.h"
#include "cli/globals.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "release/builder.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

// Shows what a build says while this object is there. With --json an event per line, for a command
// whose output is such lines; else nothing.
class BuildLines {
public:
    BuildLines(const std::string& build, bool events, const Globals& globals)
        : thread_([this, build, events, &globals] { follow(build, events, globals); }) {}
    // The build is over: what was said is shown to its end.
    void finish() {
        std::unique_lock lock(mutex_);
        over_.wait_for(lock, last_lines, [this] { return ended_; });
    }
    ~BuildLines() { stop_.cancel(); }

private:
    void follow(const std::string& build, bool events, const Globals& globals) {
        DaemonClient daemon(globals);
        // Without its lines a build is as good.
        [[maybe_unused]] const Status followed = daemon.listen(
            "/api/v1/builds/" + build + "/stream",
            [&](const net::Event& message) {
                if (message.name == "line") {
                    show(json::parse(message.data, nullptr, false), events, globals);
                }
                if (message.name == "resync" && !globals.json) {
                    std::printf("  ... lines are left out here; `seatrial releases --log %s`\n",
                                build.c_str());
                }
                return message.name != "end";
            },
            stop_.context());
        const std::lock_guard lock(mutex_);
        ended_ = true;
        over_.notify_all();
    }
    static void show(const json& line, bool events, const Globals& globals) {
        if (globals.json && events) {
            std::printf("%s\n", json{{"kind", "build"}, {"data", line}}.dump().c_str());
        } else if (!globals.json) {
            std::printf("  %s %s\n", paint(text_of(line, "component") + " |", Tone::dim).c_str(),
                        text_of(line, "text").c_str());
        }
        std::fflush(stdout);
    }

    static constexpr std::chrono::seconds last_lines{2};
    CancelSource stop_;
    std::mutex mutex_;
    std::condition_variable over_;
    bool ended_ = false;
    std::jthread thread_;
};

// `env`: where it is to go, "" = nowhere yet; with --json the build's events are then lines, too.
Result<json> build(DaemonClient& daemon, const std::string& branch, const std::string& env,
                   const Globals& globals, const Context& ctx) {
    TRY_ASSIGN(const auto checkout, find_checkout(branch, ctx));
    if (!globals.json) {
        std::printf("building %s\n", checkout.commit.substr(0, 12).c_str());
        std::fflush(stdout);
    }
    const std::string id = release::make_id();
    BuildLines lines(id, !env.empty(), globals);
    auto built = post_with_commit(daemon, globals, checkout, "/api/v1/releases",
                                  {{"appText", checkout.text},
                                   {"appFile", app_file},
                                   {"repository", checkout.repository.common_dir.string()},
                                   {"commit", checkout.commit},
                                   {"build", id},
                                   {"branchName", checkout.branch},
                                   {"env", env}},
                                  true, ctx);
    if (!ctx.cancelled()) {
        lines.finish();
    }
    if (!built && built.error().code == Code::failed) {
        built.error().hint += (built.error().hint.empty() ? "" : "; ") +
                              ("all it said: `seatrial releases --log " + id + "`");
    }
    return built;
}

int print_log(DaemonClient& daemon, const std::string& app, const std::string& wanted,
              const Globals& globals, const Context& ctx) {
    std::string id = wanted;
    const json known =
        daemon.get("/api/v1/releases?app=" + encode(app), ctx).value_or(json::array());
    for (const auto& release : known) {
        id = text_of(release, "tag") == wanted ? text_of(release, "id") : id;
    }
    const auto log = daemon.get("/api/v1/builds/" + encode(id) + "/log", ctx);
    if (!log) {
        return report(log.error(), globals);
    }
    if (globals.json) {
        print_json(*log);
    } else {
        std::printf("%s", text_of(*log, "text", true).c_str());
    }
    return 0;
}

// "worker 1.4.0, worker works with web >=1.2 <2": what a look at the tag does not tell.
std::string versions(const json& release) {
    std::string out;
    const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
    const json components = release.value("components", json::object());
    for (const auto& [name, part] : components.items()) {
        const std::string version = text_of(part, "version");
        if (!version.empty() && version != text_of(release, "version")) {
            add(printable(name) + " " + version);
        }
    }
    const json rules = release.value("compatibility", json::object());
    for (const auto& [name, others] : rules.items()) {
        for (const auto& [other, range] : others.items()) {
            add(printable(name) + " works with " + printable(other) + " " +
                text_of(others, other.c_str()));
        }
    }
    return out;
}

void print_release(const json& release) {
    std::printf("%s %s\n", paint("release", Tone::bold).c_str(), text_of(release, "tag").c_str());
    const json components = release.value("components", json::object());
    for (const auto& [name, part] : components.items()) {
        std::printf("  %-12s %s  %s\n", printable(name).c_str(), text_of(part, "name").c_str(),
                    text_of(part, "image").substr(0, 19).c_str());
    }
    if (const std::string said = versions(release); !said.empty()) {
        std::printf("  %s\n", said.c_str());
    }
    if (const auto bytes = release.value("build_cache_freed", 0LL); bytes > 0) {
        std::printf("  %lld MB of the cache of builds went\n", bytes >> 20);
    }
}

// A rollback by hand holds automation: whoever looks is told, and how to go on.
void print_holds(const json& places, const Globals& globals) {
    if (globals.json) {
        return;
    }
    for (const auto& place : places) {
        if (!place.value("held", false)) {
            continue;
        }
        const std::string env = text_of(place, "env");
        const std::string since = text_of(place, "held_since");
        const std::string by = text_of(place, "held_by");
        const std::string reason = text_of(place, "held_reason");
        std::printf(
            "\nAutomation does not deploy to %s: rolled back by hand%s%s%s.\n"
            "  `seatrial resume %s` lets it go on; so does a deploy by hand.\n",
            env.c_str(), since.empty() ? "" : (" at " + since).c_str(),
            by.empty() ? "" : (" by " + by).c_str(),
            reason.empty() ? "" : (" (" + reason + ")").c_str(), env.c_str());
    }
}

}    // namespace

int run_build(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    const auto release = build(daemon, options.branch, "", globals, interrupt.context());
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
    json body = {{"env", options.env}, {"reason", options.reason}};
    if (!options.release.empty()) {
        return with_app(options.app, globals,
                        [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
                            body["app"] = app;
                            body["release"] = options.release;
                            return deploy_and_follow(daemon, "/api/v1/deployments", body, options,
                                                     globals, ctx);
                        });
    }
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    DaemonClient daemon(globals);
    const auto release = build(daemon, options.branch, options.env, globals, ctx);
    if (!release) {
        return ctx.cancelled() ? 130 : report(release.error(), globals);
    }
    if (!globals.json) {
        print_release(*release);
    }
    body["app"] = (*release)["app"];
    body["release"] = (*release)["id"];
    return deploy_and_follow(daemon, "/api/v1/deployments", body, options, globals, ctx);
}

int run_promote(const DeployOptions& options, const Globals& globals) {
    return with_app(options.app, globals,
                    [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
                        return deploy_and_follow(daemon, "/api/v1/deployments",
                                                 {{"app", app},
                                                  {"env", options.env},
                                                  {"from", options.from},
                                                  {"allowDifferences", options.allow_differences},
                                                  {"dryRun", options.dry_run},
                                                  {"reason", options.reason}},
                                                 options, globals, ctx);
                    });
}

int run_rollback(const DeployOptions& options, const Globals& globals) {
    return with_app(options.app, globals,
                    [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
                        return deploy_and_follow(daemon, "/api/v1/deployments/rollback",
                                                 {{"app", app},
                                                  {"env", options.env},
                                                  {"to", options.release},
                                                  {"dryRun", options.dry_run},
                                                  {"reason", options.reason}},
                                                 options, globals, ctx);
                    });
}

int run_snapshots(const DeployOptions& options, const Globals& globals) {
    return with_app(
        options.app, globals,
        [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
            return print_list(
                daemon.get("/api/v1/snapshots?app=" + encode(app) + "&env=" + encode(options.env),
                           ctx),
                globals, {"SNAPSHOT", "MADE", "BEFORE", "SERVED THEN", "SIZE"},
                [](const json& one) {
                    return std::vector<std::string>{text_of(one, "id"), text_of(one, "at"),
                                                    text_of(one, "before"), text_of(one, "serving"),
                                                    megabytes(one.value("bytes", 0LL))};
                },
                "There are no copies; release.migrate.snapshot makes one before each migration.");
        });
}

int run_restore(const DeployOptions& options, const Globals& globals) {
    return with_app(options.app, globals,
                    [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
                        return deploy_and_follow(daemon, "/api/v1/snapshots/restore",
                                                 {{"app", app},
                                                  {"env", options.env},
                                                  {"snapshot", options.snapshot},
                                                  {"discard", options.discard},
                                                  {"reason", options.reason}},
                                                 options, globals, ctx);
                    });
}

int run_resume(const DeployOptions& options, const Globals& globals) {
    return with_app(options.app, globals,
                    [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
                        const auto resumed = daemon.call("POST", "/api/v1/deployments/resume",
                                                         {{"app", app}, {"env", options.env}}, ctx);
                        if (!resumed) {
                            return report(resumed.error(), globals);
                        }
                        if (globals.json) {
                            print_json(*resumed);
                        } else {
                            std::printf(
                                resumed->value("was_held", false)
                                    ? "automation may deploy %s in %s again\n"
                                    : "automation was not held: nothing to do for %s in %s\n",
                                printable(app).c_str(), printable(options.env).c_str());
                        }
                        return 0;
                    });
}

int run_releases(const DeployOptions& options, const Globals& globals) {
    return with_app(
        options.app, globals,
        [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
            if (!options.log.empty()) {
                return print_log(daemon, app, options.log, globals, ctx);
            }
            const json places =
                daemon.get("/api/v1/deployments?app=" + encode(app), ctx).value_or(json::array());
            std::map<std::string, std::string> serving;    // tag → environments
            for (const auto& place : places) {
                const std::string tag = text_of(place, "serving");
                serving[tag] += (serving[tag].empty() ? "" : ", ") + text_of(place, "env");
            }
            const int code = print_list(
                daemon.get("/api/v1/releases?app=" + encode(app), ctx), globals,
                {"RELEASE", "BUILT", "BRANCH", "SERVES IN", ""},
                [&](const json& release) {
                    const std::string rejected = text_of(release, "rejected");
                    return std::vector<std::string>{
                        text_of(release, "tag"), text_of(release, "at"), text_of(release, "branch"),
                        serving[text_of(release, "tag")],
                        rejected.empty() ? versions(release) : "rejected: " + rejected};
                },
                "There are no releases yet; `seatrial build` makes one.");
            print_holds(places, globals);
            return code;
        });
}

int run_history(const DeployOptions& options, const Globals& globals) {
    return with_app(
        options.app, globals,
        [&](DaemonClient& daemon, const std::string& app, const Context& ctx) {
            const std::string place = "?app=" + encode(app) + "&env=" + encode(options.env);
            const int code = print_list(
                daemon.get("/api/v1/deployments/history" + place, ctx), globals,
                {"WHEN", "WHAT", "WHO", ""},
                [](const json& event) {
                    const json data = event.value("data", json::object());
                    const std::string kind = text_of(event, "kind");
                    std::string line = line_of(kind, data);
                    if (line.empty()) {
                        line = text_of(data, "tag") + text_of(data, "message", true) +
                               text_of(data, "why", true);
                    }
                    return std::vector<std::string>{text_of(event, "at"), kind,
                                                    text_of(event, "actor"),
                                                    line.substr(0, line.find('\n'))};
                },
                "Nothing was deployed there yet.");
            if (code == 0) {
                print_holds(daemon.get("/api/v1/deployments" + place, ctx).value_or(json::array()),
                            globals);
            }
            return code;
        });
}

int run_incidents(const DeployOptions& options, const Globals& globals) {
    const Interrupt interrupt;
    DaemonClient daemon(globals);
    return print_list(
        daemon.get("/api/v1/incidents?app=" + encode(options.app) + "&env=" + encode(options.env),
                   interrupt.context()),
        globals, {"WHEN", "APP", "ENV", "RELEASE", "SERVES NOW", "CAUSE"},
        [](const json& incident) {
            const std::string now = text_of(incident, "back_to");
            const std::string cause = text_of(incident, "cause", true);    // --json has all of it
            return std::vector<std::string>{
                text_of(incident, "at"),       text_of(incident, "app"),
                text_of(incident, "env"),      text_of(incident, "tag"),
                now.empty() ? "nothing" : now, cause.substr(0, cause.find('\n'))};
        },
        "There are no incidents.");
}

}    // namespace seatrial::cli
