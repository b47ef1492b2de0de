#include "preview/view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "preview/spec.h"
#include "preview/status.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
constexpr std::chrono::seconds look_patience{2};    // for people who wait

json or_null(const json& object, const char* member) {
    const auto found = object.find(member);
    return found == object.end() ? json() : *found;
}

std::string short_branch(const std::string& ref) {
    constexpr std::string_view heads = "refs/heads/";
    return ref.starts_with(heads) ? ref.substr(heads.size()) : ref;
}

// The last state of every node of a generation, in order of appearance.
json collapse_steps(const std::vector<store::Event>& events) {
    json steps = json::array();
    std::map<std::string, std::size_t> index;
    for (const auto& event : events) {
        const json data = json::parse(event.data, nullptr, false);
        const std::string node = data.is_object() ? data.value("node", "") : "";
        const auto [at, fresh] = index.emplace(node, steps.size());
        if (fresh) {
            steps.push_back({{"node", node},
                             {"title", data.value("title", node)},
                             {"started_at", render_time(event.at)}});
        }
        json& step = steps[at->second];
        const std::string state = data.value("state", "");
        step["state"] = state == "progress" ? "started" : state;
        step["ms"] = data.value("ms", 0);
        if (data.contains("line")) {
            step["line"] = data["line"];
        }
        if (data.contains("hint")) {
            step["hint"] = data["hint"];
        }
    }
    return steps;
}

json component_json(const std::string& name, const std::string& run, const Spec& spec,
                    const json& urls, const Parts& parts) {
    json component = {{"name", name},
                      {"port", nullptr},
                      {"url", or_null(urls, name.c_str())},
                      {"state", "unknown"},
                      {"detail", nullptr},
                      {"pid", nullptr},
                      {"memory_bytes", nullptr},
                      {"cpu_ms", nullptr},
                      {"processes", nullptr},
                      {"log", (parts.layout.data / "logs" / spec.life / (name + ".log")).string()}};
    if (const auto port = spec.ports.find(name); port != spec.ports.end()) {
        component["port"] = port->second;
    }
    const auto provider = provider_of(parts, spec);
    if (!provider) {
        return component;
    }
    const auto state = (*provider)->observe(run, Context().with_timeout(look_patience));
    if (!state) {
        return component;
    }
    constexpr const char* states[] = {"absent", "starting", "running", "exited"};
    component["state"] = states[static_cast<int>(state->phase)];
    if (state->phase == Running::Phase::exited) {
        component["detail"] = state->how;
    }
    const auto put = [&](const char* member, const std::optional<std::int64_t>& value) {
        if (value) {
            component[member] = *value;
        }
    };
    put("pid", state->pid);
    put("memory_bytes", state->memory_bytes);
    put("cpu_ms", state->cpu_ms);
    put("processes", state->processes);
    return component;
}

}    // namespace

json render_preview(const store::Life& life) {
    const auto spec = parse_spec(life.spec).value_or(Spec{});
    const json status = status_of(life);
    json out = {{"app", life.app},
                {"key", life.key},
                {"env", life.env},
                {"state", life.state},
                {"life", life.id},
                {"generation", life.generation},
                {"branch", short_branch(spec.branch)},
                {"commit", spec.commit},
                {"provider", spec.provider},
                {"requested_by", spec.requested_by},
                {"created_at", render_time(life.created_at)},
                {"changed_at", render_time(life.changed_at)},
                {"expires_at", nullptr},
                {"pinned", life.pinned},
                {"ports", spec.ports},
                {"database", spec.names.database.empty() ? json() : json(spec.names.database)}};
    if (life.expires_at) {
        out["expires_at"] = render_time(*life.expires_at);
    }
    for (const char* member : {"urls", "operation", "waiting", "failure", "isolation", "timings",
                               "receipt", "reason", "moved"}) {
        out[member] = or_null(status, member);
    }
    return out;
}

Result<json> render_detail(const store::Life& life, const Parts& parts) {
    json out = render_preview(life);
    TRY_ASSIGN(const auto steps, parts.records.steps(life.id, 0));
    out["steps"] = collapse_steps(steps);
    out["components"] = json::array();
    const auto spec = parse_spec(life.spec);
    if (spec && life.state != "removed") {
        const json urls = out["urls"].is_object() ? out["urls"] : json::object();
        for (const auto& [name, run] : spec->names.runs) {
            out["components"].push_back(component_json(name, run, *spec, urls, parts));
        }
    }
    return out;
}

json render_event(const store::Event& event) {
    return {{"seq", event.seq},
            {"at", render_time(event.at)},
            {"life", event.life},
            {"generation", event.generation},
            {"actor", event.actor},
            {"kind", event.kind},
            {"data", json::parse(event.data, nullptr, false)}};
}

namespace {

// The slowest of the last run, and those at work.
void explain_steps(const json& all, std::vector<std::string>& lines) {
    std::vector<json> steps = all;
    std::ranges::sort(steps, std::greater<>(),
                      [](const json& step) { return step.value("ms", 0); });
    std::string slowest;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, steps.size()); ++i) {
        if (steps[i].value("ms", 0) > 0) {
            slowest += (slowest.empty() ? "" : ", ") + steps[i].value("title", "") + " " +
                       render_duration(std::chrono::milliseconds(steps[i].value("ms", 0)));
        }
    }
    if (!slowest.empty()) {
        lines.push_back("Slowest steps of the last run: " + slowest + ".");
    }
    for (const auto& step : all) {
        if (step.value("state", "") == "started") {
            lines.push_back("At work: " + step.value("title", "") +
                            (step.contains("line") ? " (" + step.value("line", "") + ")" : "") +
                            ".");
        }
    }
}

}    // namespace

Result<std::vector<std::string>> explain(const store::Life& life, const Parts& parts) {
    TRY_ASSIGN(const json detail, render_detail(life, parts));
    const json status = status_of(life);
    std::vector<std::string> lines;
    const std::string subject = life.app + "/" + printable(life.key) + " in " + life.env;
    lines.push_back(subject + " is " + life.state + " since " + render_time(life.changed_at) +
                    ", branch " + printable(detail["branch"].get<std::string>()) + " at " +
                    detail["commit"].get<std::string>().substr(0, 12) + ", asked for by " +
                    detail["requested_by"].get<std::string>() + ".");
    const auto add_failure = [&](const json& failure) {
        lines.push_back("It failed at \"" + failure.value("title", "?") +
                        "\": " + failure.value("message", ""));
        if (failure.contains("hint")) {
            lines.push_back("What to do: " + failure["hint"].get<std::string>());
        }
    };
    if (status.contains("failure")) {
        add_failure(status["failure"]);
    }
    if (status.contains("operation") && status["operation"].contains("failure")) {
        lines.emplace_back(
            "The last update failed before the running one was touched; it goes on "
            "serving its old commit.");
        add_failure(status["operation"]["failure"]);
    } else if (status.contains("operation")) {
        lines.push_back("An update to " + status["operation"].value("commit", "").substr(0, 12) +
                        " is under way.");
    }
    if (status.contains("moved")) {
        lines.push_back("It moved to other ports: " + status["moved"].value("reason", "") + ".");
    }
    if (status.contains("waiting")) {
        lines.push_back("It waits: " + status["waiting"].value("message", "") + " (next try " +
                        status["waiting"].value("retry_at", "") + ").");
    }
    explain_steps(detail["steps"], lines);
    if (life.wanted && life.expires_at && life.state != "removed") {
        lines.push_back(life.pinned
                            ? "It is pinned: it does not expire."
                            : "It will be removed at " + render_time(*life.expires_at) + ".");
    }
    if (!life.wanted) {
        lines.push_back("It ends because of: " + status.value("reason", "stop") + ".");
    }
    if (status.contains("isolation")) {
        lines.push_back("Isolation: " + status["isolation"].value("level", "") + ".");
    }
    return lines;
}

}    // namespace seatrial::preview
