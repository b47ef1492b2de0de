// seatrial doctor: what is missing or broken on this machine, and the remedy.
#include <sys/statvfs.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/client.h"
#include "cli/globals.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "process/command.h"
#include "sql/postgres.h"

namespace seatrial::cli {
namespace {

using nlohmann::json;

struct Finding {
    std::string what, state, detail, remedy;    // state: good | warning | bad
};

constexpr std::chrono::seconds patience{5};

Finding check_program(const char* program, const char* option, const char* remedy, bool required,
                      const Context& ctx) {
    process::Command command;
    command.argv = {program, option};
    const auto ran = process::run_command(command, ctx.with_timeout(patience));
    if (!ran) {
        return {program, required ? "bad" : "warning", "not found", remedy};
    }
    return {program, "good", std::string(trim(ran->out.substr(0, ran->out.find('\n')))), ""};
}

Finding check_postgres(const Context& ctx) {
    const auto db = sql::Postgres::open({}, ctx.with_timeout(patience));
    if (!db) {
        return {"PostgreSQL by libpq's variables", "warning", render_error(db.error()),
                "set PGHOST, PGPORT, PGUSER, or postgres.url in the server's file; apps without a "
                "database need none"};
    }
    return {"PostgreSQL by libpq's variables", "good",
            "version " + std::to_string(db->server_version() / 10000), ""};
}

Finding check_disk(const std::filesystem::path& data) {
    std::filesystem::path folder = data;
    while (::access(folder.c_str(), F_OK) != 0 && folder.has_parent_path() &&
           folder != folder.parent_path()) {
        folder = folder.parent_path();
    }
    struct statvfs disk{};
    if (::statvfs(folder.c_str(), &disk) != 0) {
        return {"disk", "bad", "cannot be read", ""};
    }
    const std::uint64_t megabytes = disk.f_bavail * disk.f_frsize >> 20U;
    return {"disk", megabytes > 2048 ? "good" : "warning",
            std::to_string(megabytes) + " MB free at " + folder.string(),
            megabytes > 2048 ? "" : "free some space: new previews are refused below the reserve"};
}

void add_builder(std::vector<Finding>& findings, const json& builder) {
    if (builder.contains("error")) {
        findings.push_back({"builds of releases", "bad", builder["error"].value("message", ""),
                            builder["error"].value("hint", "")});
        return;
    }
    const std::string cli = builder.value("cli", "");
    findings.push_back({"builds of releases", "good",
                        cli.empty() ? "by the engine's classic builder, without BuildKit"
                                    : "by BuildKit, driven by " + cli,
                        builder.value("remedy", "")});
}

// As the daemon's user sees it: another's rights on the socket say nothing.
void add_engine(std::vector<Finding>& findings, const json& engine) {
    if (!engine.is_object()) {
        return;
    }
    const std::string socket = engine.value("socket", "");
    if (engine.contains("error")) {
        findings.push_back({"Docker engine", "bad",
                            socket + ": " + engine["error"].value("message", ""),
                            engine["error"].value("hint", "")});
        return;
    }
    findings.push_back({"Docker engine", "good",
                        "version " + engine.value("version", "") + ", API " +
                            engine.value("api", "") + ", " + socket,
                        join(engine.value("warnings", std::vector<std::string>{}), "; ")});
    if (engine.contains("builder")) {
        add_builder(findings, engine["builder"]);
    }
    if (engine.contains("database")) {
        findings.push_back({"PostgreSQL from containers", "warning",
                            engine["database"].value("message", ""),
                            engine["database"].value("hint", "")});
    }
}

// What a deploy would refuse, and what it would only tell.
void add_environments(std::vector<Finding>& findings, const json& environments) {
    for (const auto& [name, seen] : environments.items()) {
        const auto before = findings.size();
        for (const auto& [list, state] :
             {std::pair("faults", "bad"), std::pair("notes", "warning")}) {
            for (const auto& line : seen.value(list, std::vector<std::string>{})) {
                findings.push_back({"environment " + name, state, line, ""});
            }
        }
        if (findings.size() == before) {
            const auto sources = seen.value("sources", std::vector<std::string>());
            findings.push_back(
                {"environment " + name, "good",
                 "its files are as they must be" +
                     (sources.empty() ? "" : "; " + join(sources, ", ") + " answers"),
                 ""});
        }
    }
}

void add_daemon(std::vector<Finding>& findings, const Globals& globals, const Context& ctx) {
    DaemonClient daemon(globals);
    const auto server = daemon.get("/api/v1/server?engine=1", ctx.with_timeout(3 * patience));
    if (!server) {
        findings.push_back({"daemon", "warning", server.error().message,
                            "`seatrial up` starts one; isolation is known once it runs"});
        return;
    }
    findings.push_back({"daemon", "good",
                        "version " + server->value("version", "") + ", pid " +
                            std::to_string(server->value("pid", 0)) + ", data " +
                            server->value("data", ""),
                        ""});
    add_engine(findings, server->value("engine", json()));
    add_environments(findings, server->value("environments", json::object()));
    const json health = server->value("health", json::object());
    const std::string records = health.value("records", "");
    findings.push_back({"records", records == "ok" || records == "being checked" ? "good" : "bad",
                        records,
                        records == "ok" ? "" : "restore a backup made by `seatrial backup`"});
    const std::string collector = health.value("collector", "");
    findings.push_back({"collector", collector == "on" ? "good" : "warning", collector,
                        health.value("collector_asks", false)
                            ? "it found more to remove than it removes unasked: `seatrial cleanup "
                              "--dry-run`, then `--confirm`"
                            : ""});
    const json isolation = server->value("isolation", json::object());
    const std::string level = isolation.value("level", "");
    findings.push_back({"isolation", level == "basic" ? "warning" : "good",
                        level + ", cgroup " + isolation.value("cgroup", "") + ", Landlock ABI " +
                            std::to_string(isolation.value("landlock_abi", 0)),
                        join(isolation.value("missing", std::vector<std::string>{}), "; ")});
}

}    // namespace

int run_doctor(const Globals& globals) {
    const Interrupt interrupt;
    const Context ctx = interrupt.context();
    std::vector<Finding> findings;
    findings.push_back(check_program("git", "--version", "apt-get install git", true, ctx));
    findings.push_back(check_program(
        "node", "--version", "apt-get install nodejs npm, for JavaScript apps", false, ctx));
    findings.push_back(
        check_program("pg_dump", "--version",
                      "apt-get install postgresql-client, to copy a database that is "
                      "in use",
                      false, ctx));
    findings.push_back(check_postgres(ctx));
    findings.push_back(check_disk(globals.data));
    add_daemon(findings, globals, ctx);
    bool bad = false;
    json list = json::array();
    for (const auto& finding : findings) {
        bad = bad || finding.state == "bad";
        list.push_back({{"what", finding.what},
                        {"state", finding.state},
                        {"detail", finding.detail},
                        {"remedy", finding.remedy}});
        if (!globals.json) {
            const Tone tone = finding.state == "good"  ? Tone::good
                              : finding.state == "bad" ? Tone::bad
                                                       : Tone::warn;
            std::printf("%s %s: %s\n", paint(finding.state, tone).c_str(), finding.what.c_str(),
                        printable(finding.detail).c_str());
            if (!finding.remedy.empty()) {
                std::printf("     %s\n", finding.remedy.c_str());
            }
        }
    }
    if (globals.json) {
        print_json({{"ok", !bad}, {"findings", list}});
    }
    return bad ? 1 : 0;
}

}    // namespace seatrial::cli
