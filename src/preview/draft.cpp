#include "preview/draft.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "resource/component.h"
#include "resource/docker_container.h"

namespace seatrial::preview {
namespace {

using nlohmann::json;
using plan::Node;
using plan::Ref;

std::string upper(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool lower = c >= 'a' && c <= 'z';
        const bool keep = lower || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        out += lower ? static_cast<char>(c - 'a' + 'A') : keep ? c : '_';
    }
    return out;
}

std::string main_component(const Spec& spec, const config::App& app) {
    for (const auto& component : app.components) {
        if (spec.ports.contains(component.name)) {
            return component.name;
        }
    }
    return "";
}

}    // namespace

bool runs_component(const Ref& ref) {
    return ref.type == resource::component_type || ref.type == resource::docker_container_type;
}

Node& Draft::add(std::string id, std::string title, Ref ref, json spec_of_it,
                 std::vector<std::string> after) {
    Node node;
    node.id = std::move(id);
    node.title = std::move(title);
    node.ref = std::move(ref);
    node.spec = std::make_shared<const json>(std::move(spec_of_it));
    node.after = std::move(after);
    graph.nodes.push_back(std::move(node));
    return graph.nodes.back();
}

Node& Draft::add_destroy(std::string id, std::string title, const Ref& ref,
                         std::vector<std::string> after) {
    Node& node = add(std::move(id), std::move(title), ref, json(), std::move(after));
    node.op = plan::Op::destroy;
    node.spec = nullptr;
    return node;
}

bool Draft::has(std::string_view id) const {
    return std::ranges::any_of(graph.nodes, [&](const Node& node) { return node.id == id; });
}

std::vector<std::string> Draft::present(const std::vector<std::string>& candidates) const {
    std::vector<std::string> ids;
    for (const auto& id : candidates) {
        if (has(id)) {
            ids.push_back(id);
        }
    }
    return ids;
}

std::string Draft::log_file(const std::string& name) const {
    return (layout.data / "logs" / spec.life / (name + ".log")).string();
}

void Draft::add_commit() {
    add("ref", "keep commit", {"git-ref", "host", spec.names.git_ref},
        {{"mirror", spec.mirror}, {"commit", spec.commit}}, {});
}

void Draft::add_postgres() {
    const auto& database = app.database;
    if (database.engine != config::DatabaseEngine::postgres) {
        return;
    }
    if (!spec.template_name.empty()) {
        add("template", "prepare template",
            {"pg-template", layout.database_place, spec.template_name},
            {{"source", database.source}}, {});
    }
    add("role", "create role", {"pg-role", layout.database_place, spec.names.role}, json::object(),
        {});
    add("database", "clone database", {"pg-database", layout.database_place, spec.names.database},
        {{"template", spec.template_name}, {"owner", spec.names.role}},
        present({"template", "role"}));
}

void Draft::add_stops(const RunOf& run, const SpecOf& spec_of,
                      const std::vector<std::string>& prepared) {
    std::set<Ref> named;
    for (const auto& component : app.components) {
        const Ref ref = run(component);
        named.insert(ref);
        const auto seen = world.seen.find(ref);
        if (seen == world.seen.end() ||
            (seen->second.presence == plan::Presence::ready &&
             seen->second.spec_hash == plan::spec_hash(spec_of(component)))) {
            continue;
        }
        const Node& node =
            add_destroy("stop." + component.name, "stop " + component.name, ref, prepared);
        stops.push_back(node.id);
        stopping = stopping || seen->second.presence == plan::Presence::ready;
    }
    // A component that the new commit no longer has must not run on its tree either; nor one that
    // another provider started, which holds the port.
    for (const Ref& ref : world.owned) {
        if (runs_component(ref) && !named.contains(ref)) {
            const Node& node =
                add_destroy("stop." + ref.name + (ref.type == resource::component_type ? "" : ".c"),
                            "stop a removed component", ref, prepared);
            stops.push_back(node.id);
            stopping = true;
        }
    }
}

void Draft::add_superseded() {
    std::set<Ref> named;
    std::vector<std::string> all;
    for (const Node& node : graph.nodes) {
        named.insert(node.ref);
        all.push_back(node.id);
    }
    int number = 0;
    for (const Ref& ref : world.owned) {
        if (!named.contains(ref)) {
            all.push_back(
                add_destroy("old." + std::to_string(number++), "remove old " + ref.type, ref, all)
                    .id);
        }
    }
}

plan::Graph Draft::finish() {
    graph.name = stopping ? "update" : "up";
    return std::move(graph);
}

json environment_of(const Spec& spec, const config::App& app, const config::Component* component,
                    const std::function<Endpoint(const config::Component&)>& inside) {
    json set = {{"PREVIEW", "1"},
                {"PREVIEW_ISSUE_KEY", spec.key},
                {"PREVIEW_APP", spec.app},
                {"PREVIEW_ENV", spec.env},
                {"PREVIEW_BRANCH", spec.branch},
                {"PREVIEW_COMMIT", spec.commit},
                {"PREVIEW_HOST", spec.host}};
    const auto urls = urls_of(spec, app);
    for (const auto& other : app.components) {
        if (!spec.ports.contains(other.name)) {
            continue;
        }
        const Endpoint at = inside(other);
        const std::string number = std::to_string(at.port);
        set[other.port] = number;
        set[upper(other.name) + "_PORT"] = number;
        set[upper(other.name) + "_URL"] = urls.at(other.name);
        set[upper(other.name) + "_INTERNAL_URL"] = "http://" + at.host + ":" + number;
    }
    if (component != nullptr && spec.ports.contains(component->name)) {
        set["PORT"] = std::to_string(inside(*component).port);
        set["PREVIEW_URL"] = urls.at(component->name);
    } else if (!urls.empty()) {
        set["PREVIEW_URL"] = urls.at(main_component(spec, app));
    }
    json templates = json::object();
    for (const auto& [name, value] : spec.tree_env) {
        templates[name] = value;
    }
    for (const auto& rule : app.env) {
        if (rule.value) {
            templates[rule.name] = *rule.value;
        }
    }
    for (const auto& [name, value] : spec.environment_env) {
        templates[name] = value;
    }
    if (component != nullptr) {
        for (const auto& [name, value] : component->env) {
            templates[name] = value;
        }
    }
    return {{"set", set}, {"templates", templates}, {"files", spec.env_files}};
}

json postgres_of(const Spec& spec, const config::App& app, const Layout& layout) {
    return {{"engine", "postgres"},
            {"place", layout.database_place},
            {"database", spec.names.database},
            {"role", spec.names.role},
            {"variable", app.database.url}};
}

}    // namespace seatrial::preview
