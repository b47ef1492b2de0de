#include "release/deployment.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "base/names.h"
#include "checks/checks.h"
#include "crypto/crypto.h"
#include "release/queues.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

json time_json(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime time_of(const json& value) {
    return WallTime(milliseconds(value.get<std::int64_t>()));
}

json to_json(const Policy& policy) {
    json canary = json::array();
    for (const auto& step : policy.canary) {
        canary.push_back({{"per_mille", step.per_mille}, {"hold_ms", step.hold.count()}});
    }
    json gates = json::array();
    for (const auto& gate : policy.gates) {
        gates.push_back(release::to_json(gate));
    }
    return {{"canary", canary},
            {"drain_ms", policy.drain.count()},
            {"watch_ms", policy.watch.count()},
            {"hold_ms", policy.hold.count()},
            {"warm_ms", policy.warm.count()},
            {"gates", gates}};
}

Policy policy_of(const json& in) {
    const auto duration = [&](const json& value) {
        return milliseconds(value.get<std::int64_t>());
    };
    Policy out;
    for (const auto& step : in.at("canary")) {
        out.canary.push_back({step.at("per_mille"), duration(step.at("hold_ms"))});
    }
    for (const auto& gate : in.at("gates")) {
        out.gates.push_back(gate_of(gate));
    }
    out.drain = duration(in.at("drain_ms"));
    out.watch = duration(in.at("watch_ms"));
    out.hold = duration(in.at("hold_ms"));
    out.warm = duration(in.at("warm_ms"));
    return out;
}

json to_json(const Settings& settings) {
    json listens = json::array();
    for (const auto& listen : settings.listens) {
        listens.push_back({{"address", listen.address},
                           {"port", listen.port},
                           {"certificate", listen.certificate.string()}});
    }
    return {{"listens", listens},
            {"checks", checks::to_json(settings.checks)},
            {"slow_ms", settings.slow_ms},
            {"policy", to_json(settings.policy)}};
}

Settings settings_of(const json& in) {
    Settings out;
    for (const auto& listen : in.at("listens")) {
        out.listens.push_back(
            {listen.at("address"), listen.at("port"), listen.at("certificate").get<std::string>()});
    }
    out.checks = checks::checks_of(in.at("checks"));
    out.slow_ms = in.at("slow_ms");
    out.policy = policy_of(in.at("policy"));
    return out;
}

json to_json(const State& state) {
    json slots = json::object();
    for (const auto& [name, slot] : state.slots) {
        slots[name] = {{"release", slot.release},        {"phase", static_cast<int>(slot.phase)},
                       {"since", time_json(slot.since)}, {"rejected", slot.rejected},
                       {"deaths", slot.deaths},          {"asked", slot.asked}};
        if (slot.resting) {
            slots[name]["resting"] = time_json(*slot.resting);
        }
    }
    json out = {{"wanted", state.wanted},
                {"slots", slots},
                {"stable", state.stable},
                {"step", state.step},
                {"step_since", time_json(state.step_since)},
                {"stopped", state.stopped},
                {"proving", state.proving}};
    if (state.drain) {
        out["drain"] = {{"release", state.drain->release},
                        {"since", time_json(state.drain->since)},
                        {"over", state.drain->over}};
        if (state.drain->retry) {
            out["drain"]["retry"] = time_json(*state.drain->retry);
        }
    }
    if (state.reset) {
        out["reset"] = time_json(*state.reset);
        out["resets"] = state.resets;
    }
    if (state.switched_at) {
        out["switched_at"] = time_json(*state.switched_at);
    }
    return out;
}

State state_of(const json& in) {
    State out;
    out.wanted = in.at("wanted");
    for (const auto& [name, slot] : in.at("slots").items()) {
        out.slots[name] = {
            slot.at("release"),        static_cast<Phase>(slot.at("phase").get<int>()),
            time_of(slot.at("since")), slot.at("rejected"),
            slot.value("deaths", 0),   std::nullopt,
            slot.value("asked", false)};
        if (slot.contains("resting")) {
            out.slots[name].resting = time_of(slot.at("resting"));
        }
    }
    out.stable = in.at("stable");
    out.step = in.at("step");
    out.step_since = time_of(in.at("step_since"));
    out.stopped = in.at("stopped");
    out.proving = in.value("proving", false);
    if (in.contains("drain")) {
        const json& drain = in.at("drain");
        out.drain = Drain{drain.at("release"), time_of(drain.at("since")), drain.at("over")};
        if (drain.contains("retry")) {
            out.drain->retry = time_of(drain.at("retry"));
        }
    }
    if (in.contains("reset")) {
        out.reset = time_of(in.at("reset"));
        out.resets = in.at("resets");
    }
    if (in.contains("switched_at")) {
        out.switched_at = time_of(in.at("switched_at"));
    }
    return out;
}

json to_json(const Paused& paused) {
    json queues = json::array();
    for (const auto& queue : paused.queues) {
        queues.push_back(release::to_json(queue));
    }
    return {{"slot", paused.slot}, {"since", time_json(paused.since)},
            {"queues", queues},    {"takers", paused.takers},
            {"ran", paused.ran},   {"left", paused.left}};
}

Paused paused_of(const json& in) {
    Paused out;
    out.slot = in.at("slot");
    out.since = time_of(in.at("since"));
    for (const auto& queue : in.at("queues")) {
        out.queues.push_back(queue_of(queue));
    }
    out.takers = in.at("takers");
    out.ran = in.at("ran");
    out.left = in.at("left");
    return out;
}

// Reads `text` by `read`; whatever is missing or of another type is one error.
template <class Value, class Read>
Result<Value> read_json(const std::string& text, const char* what, Read read) {
    try {
        const json in = json::parse(text);
        if (in.at("version").get<int>() > deployment_version) {
            return fail(Code::invalid, std::string(what) + " was written by a newer seatrial");
        }
        return read(in);
    } catch (const json::exception& error) {
        return fail(Code::invalid, std::string(what) + " cannot be read: " + error.what());
    }
}

}    // namespace

void enter(Standing& standing, const std::string& slot, Phase phase) {
    standing.state.slots[slot].phase = phase;
    standing.state.slots[slot].since = now_utc();
}

std::string render_spec(const Spec& spec) {
    json out = {{"version", deployment_version},
                {"app", spec.app},
                {"env", spec.env},
                {"wanted", to_json(spec.wanted)},
                {"previous", to_json(spec.previous)},
                {"settings", to_json(spec.settings)},
                {"actor", spec.actor},
                {"reason", spec.reason},
                {"shares", spec.shares},
                {"held", spec.held},
                {"held_by", spec.held_by},
                {"held_reason", spec.held_reason}};
    if (spec.held_at) {
        out["held_at"] = time_json(*spec.held_at);
    }
    return dump_json(out);
}

Result<Spec> parse_spec(const std::string& text) {
    return read_json<Spec>(text, "a deployment", [](const json& in) {
        Spec out;
        out.app = in.at("app");
        out.env = in.at("env");
        out.wanted = content_of(in.at("wanted"));
        out.previous = content_of(in.at("previous"));
        out.settings = settings_of(in.at("settings"));
        out.actor = in.at("actor");
        out.reason = in.at("reason");
        out.shares = in.value("shares", out.shares);
        out.held = in.at("held");
        out.held_by = in.value("held_by", "");
        out.held_reason = in.value("held_reason", "");
        if (in.contains("held_at")) {
            out.held_at = time_of(in.at("held_at"));
        }
        return out;
    });
}

std::string render_standing(const Standing& standing) {
    json contents = json::object();
    for (const auto& [slot, content] : standing.contents) {
        contents[slot] = to_json(content);
    }
    json instances = json::object();
    for (const auto& [slot, parts] : standing.instances) {
        for (const auto& [component, list] : parts) {
            for (const auto& one : list) {
                instances[slot][component].push_back({{"container", one.container},
                                                      {"address", one.server.address},
                                                      {"port", one.server.port},
                                                      {"told", one.told}});
            }
        }
    }
    json out = {{"version", deployment_version}, {"state", to_json(standing.state)},
                {"contents", contents},          {"instances", instances},
                {"probes", standing.probes},     {"failed_before", standing.failed_before},
                {"failure", standing.failure}};
    for (const auto& [release, step] : standing.migrations) {
        out["migrations"][release] = to_json(step);
    }
    for (const auto& one : standing.snapshots) {
        out["snapshots"].push_back(to_json(one));
    }
    if (standing.restoring) {
        out["restoring"] = to_json(*standing.restoring);
    }
    if (standing.losing) {
        out["losing"] = {standing.losing->snapshot, standing.losing->losses};
    }
    if (standing.paused) {
        out["paused"] = to_json(*standing.paused);
    }
    if (!standing.queue_report.empty()) {
        out["queue_report"] = standing.queue_report;
    }
    if (standing.began_at) {
        out["began_at"] = time_json(*standing.began_at);
    }
    if (standing.due) {
        out["due"] = {{"kind", standing.due->kind}, {"data", standing.due->data}};
    }
    return dump_json(out);
}

Result<Standing> parse_standing(const std::string& text) {
    if (text.empty() || text == "{}") {
        return Standing();
    }
    return read_json<Standing>(text, "a deployment's status", [](const json& in) {
        Standing out;
        out.state = state_of(in.at("state"));
        for (const auto& [slot, content] : in.at("contents").items()) {
            out.contents[slot] = content_of(content);
        }
        for (const auto& [slot, parts] : in.at("instances").items()) {
            for (const auto& [component, list] : parts.items()) {
                for (const auto& one : list) {
                    out.instances[slot][component].push_back({one.at("container"),
                                                              {one.at("address"), one.at("port")},
                                                              one.value("told", false)});
                }
            }
        }
        out.probes = in.at("probes");
        out.failed_before = in.at("failed_before");
        out.failure = in.at("failure");
        const json migrations = in.value("migrations", json::object());
        for (const auto& [release, step] : migrations.items()) {
            out.migrations[release] = migrated_of(step);
        }
        for (const auto& one : in.value("snapshots", json::array())) {
            out.snapshots.push_back(snapshot_of(one));
        }
        if (in.contains("restoring")) {
            out.restoring = restoring_of(in.at("restoring"));
        }
        if (in.contains("losing")) {
            out.losing = Losing{in.at("losing").at(0), in.at("losing").at(1)};
        }
        if (in.contains("paused")) {
            out.paused = paused_of(in.at("paused"));
        }
        out.queue_report = in.value("queue_report", "");
        if (in.contains("began_at")) {
            out.began_at = time_of(in.at("began_at"));
        }
        if (in.contains("due")) {
            out.due = Due{in.at("due").at("kind"), in.at("due").at("data")};
        }
        return out;
    });
}

std::string site_name(const std::string& app, const std::string& env) {
    // Labels of people may hold anything; two that look alike must not meet.
    return slug(app, 16) + "-" + slug(env, 12) + "-" +
           crypto::sha256_hex(app + "\n" + env).substr(0, 6);
}

edge::Site make_site(const std::string& app, const std::string& env, const Settings& settings,
                     const Standing& standing) {
    edge::Site site;
    site.name = site_name(app, env);
    site.listens = settings.listens;
    site.slow_ms = settings.slow_ms;
    site.stable = standing.state.stable;
    std::set<std::string> components;
    std::map<std::string, std::string> routes;
    // The stable slot's routes count where slots differ: users are there.
    const auto add_routes = [&](const std::string& slot) {
        const auto content = standing.contents.find(slot);
        if (content == standing.contents.end()) {
            return;
        }
        for (const auto& part : content->second.components) {
            if (!part.worker) {
                components.insert(part.name);
                routes.emplace(part.path, part.name);
            }
        }
    };
    add_routes(standing.state.stable);
    for (const auto& [slot, content] : standing.contents) {
        add_routes(slot);
    }
    site.components.assign(components.begin(), components.end());
    for (const auto& [path, component] : routes) {
        site.routes.push_back({"", path, component});
    }
    for (const auto& [slot, parts] : standing.instances) {
        for (const auto& [component, list] : parts) {
            for (const auto& one : list) {
                if (one.server.port > 0) {
                    site.slots[slot][component].push_back(one.server);
                }
            }
        }
    }
    for (const auto& [slot, value] : standing.probes) {
        site.probes[slot] = Secret(value);
    }
    if (standing.state.step >= 0 && !settings.policy.canary.empty()) {
        const std::string slot = slot_of(standing.state, standing.state.wanted);
        const auto step = static_cast<std::size_t>(standing.state.step);
        if (!slot.empty() && slot != standing.state.stable &&
            step < settings.policy.canary.size()) {
            site.canary = edge::Canary{slot, settings.policy.canary[step].per_mille, {}};
        }
    }
    return site;
}

}    // namespace seatrial::release
