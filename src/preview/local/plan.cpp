#include "preview/local/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace seatrial::preview::local {
namespace {

using nlohmann::json;
using plan::Graph;
using plan::Node;
using plan::Op;
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

class Planner {
public:
    Planner(const Spec& spec, const config::App& app, const Layout& layout, const World& world)
        : spec_(spec), app_(app), layout_(layout), world_(world) {}

    Graph make() {
        add_database();
        add_dependencies();
        add_stops();
        add_tree();
        add_mount();
        add_migrate();
        add_components();
        add_superseded();
        graph_.name = stopping_ ? "update" : "up";
        return std::move(graph_);
    }

private:
    Node& add(std::string id, std::string title, Ref ref, json spec,
              std::vector<std::string> after) {
        Node node;
        node.id = std::move(id);
        node.title = std::move(title);
        node.ref = std::move(ref);
        node.spec = std::make_shared<const json>(std::move(spec));
        node.after = std::move(after);
        graph_.nodes.push_back(std::move(node));
        return graph_.nodes.back();
    }

    bool has(std::string_view id) const {
        return std::ranges::any_of(graph_.nodes, [&](const Node& node) { return node.id == id; });
    }

    // The ids among `candidates` that this plan has.
    std::vector<std::string> present(std::initializer_list<const char*> candidates) const {
        std::vector<std::string> ids;
        for (const char* id : candidates) {
            if (has(id)) {
                ids.emplace_back(id);
            }
        }
        return ids;
    }

    std::string tree_folder() const {
        return (layout_.previews / spec_.names.tree / "tree").string();
    }
    std::string log_file(const std::string& name) const {
        return (layout_.data / "logs" / spec_.life / (name + ".log")).string();
    }

    void add_database() {
        const auto& database = app_.database;
        if (database.engine == config::DatabaseEngine::postgres) {
            if (!spec_.template_name.empty()) {
                add("template", "prepare template",
                    {"pg-template", layout_.database_place, spec_.template_name},
                    {{"source", database.source}}, {});
            }
            add("role", "create role", {"pg-role", layout_.database_place, spec_.names.role},
                json::object(), {});
            add("database", "clone database",
                {"pg-database", layout_.database_place, spec_.names.database},
                {{"template", spec_.template_name}, {"owner", spec_.names.role}},
                present({"template", "role"}));
        }
    }

    void add_dependencies() {
        add("ref", "keep commit", {"git-ref", "host", spec_.names.git_ref},
            {{"mirror", spec_.mirror}, {"commit", spec_.commit}}, {});
        if (!app_.install || spec_.dependency_tree.empty()) {
            return;
        }
        const std::string home = (layout_.data / "homes" / spec_.app).string();
        auto& node =
            add("deps", "install dependencies", {"dep-tree", "host", spec_.dependency_tree},
                {{"mirror", spec_.mirror},
                 {"commit", spec_.commit},
                 {"argv", app_.install->run.to_argv()},
                 {"keep", app_.install->keep},
                 {"uid_slot", spec_.install_uid_slot},
                 {"home", home},
                 {"environment", {{"set", json::object({{"CI", "1"}})}}},
                 {"log", log_file("install")}},
                {"ref"});
        node.timeout = app_.install->timeout + std::chrono::minutes(1);
    }

    // Components that stand and will not be the same afterwards are stopped, after everything
    // that can fail without touching them.
    void add_stops() {
        const std::vector<std::string> prepared = present({"ref", "deps", "template", "database"});
        for (const auto& component : app_.components) {
            const Ref ref{"process", "host", spec_.names.runs.at(component.name)};
            const auto seen = world_.seen.find(ref);
            if (seen == world_.seen.end() ||
                (seen->second.presence == plan::Presence::ready &&
                 seen->second.spec_hash == plan::spec_hash(component_spec(component)))) {
                continue;
            }
            Node& node =
                add("stop." + component.name, "stop " + component.name, ref, json(), prepared);
            node.op = Op::destroy;
            node.spec = nullptr;
            stops_.push_back(node.id);
            stopping_ = stopping_ || seen->second.presence == plan::Presence::ready;
        }
        // A component that the new commit no longer has must not run on its tree either.
        for (const Ref& ref : world_.owned) {
            if (ref.type == "process" && !names_component(ref.name)) {
                Node& node =
                    add("stop." + ref.name, "stop a removed component", ref, json(), prepared);
                node.op = Op::destroy;
                node.spec = nullptr;
                stops_.push_back(node.id);
                stopping_ = true;
            }
        }
    }

    bool names_component(const std::string& run) const {
        return std::ranges::any_of(app_.components, [&](const config::Component& component) {
            return spec_.names.runs.at(component.name) == run;
        });
    }

    void add_tree() {
        std::vector<std::string> after = stops_;
        after.emplace_back("ref");
        // The first checkout waits for nobody; one that moves a running preview's files waits
        // for all that can still fail.
        if (stopping_) {
            for (auto& id : present({"deps", "template", "database"})) {
                after.push_back(std::move(id));
            }
        }
        add("tree", stopping_ ? "move worktree" : "check out",
            {"worktree", "host", spec_.names.tree},
            {{"mirror", spec_.mirror}, {"commit", spec_.commit}, {"uid_slot", spec_.uid_slot}},
            std::move(after));
        if (app_.database.engine == config::DatabaseEngine::sqlite) {
            add("database", "copy database", {"sqlite-file", "host", spec_.names.database},
                {{"template", sqlite_template()},
                 {"file", sqlite_file()},
                 {"uid_slot", spec_.uid_slot}},
                {"tree"});
        }
    }

    std::string sqlite_template() const {
        if (spec_.empty_database || app_.database.source.empty()) {
            return "";
        }
        const std::filesystem::path source = app_.database.source;
        return (source.is_absolute() ? source : std::filesystem::path(tree_folder()) / source)
            .string();
    }
    // Beside the tree, not in it: a checkout never touches it, a rename takes it along.
    std::string sqlite_file() const {
        return (layout_.previews / spec_.names.tree / "data" / (spec_.names.database + ".sqlite"))
            .string();
    }

    void add_mount() {
        if (has("deps")) {
            add("mount", "mount dependencies", {"dep-mount", "host", spec_.names.mount},
                {{"tree", spec_.dependency_tree},
                 {"previews", layout_.previews.string()},
                 {"worktree", spec_.names.tree},
                 {"uid_slot", spec_.uid_slot}},
                {"tree", "deps"});
        }
    }

    // Everything a component or tool of this preview sees, without secrets.
    json environment(const config::Component* component) const {
        json set = {{"PREVIEW", "1"},
                    {"PREVIEW_ISSUE_KEY", spec_.key},
                    {"PREVIEW_APP", spec_.app},
                    {"PREVIEW_ENV", spec_.env},
                    {"PREVIEW_BRANCH", spec_.branch},
                    {"PREVIEW_COMMIT", spec_.commit},
                    {"PREVIEW_HOST", spec_.host}};
        const auto urls = urls_of(spec_, app_);
        for (const auto& other : app_.components) {
            const auto port = spec_.ports.find(other.name);
            if (port == spec_.ports.end()) {
                continue;
            }
            set[other.port] = std::to_string(port->second);
            set[upper(other.name) + "_PORT"] = std::to_string(port->second);
            set[upper(other.name) + "_URL"] = urls.at(other.name);
        }
        if (component != nullptr && spec_.ports.contains(component->name)) {
            set["PORT"] = std::to_string(spec_.ports.at(component->name));
            set["PREVIEW_URL"] = urls.at(component->name);
        } else if (!urls.empty()) {
            set["PREVIEW_URL"] = urls.at(main_component());
        }
        json templates = json::object();
        for (const auto& [name, value] : spec_.tree_env) {
            templates[name] = value;
        }
        for (const auto& rule : app_.env) {
            if (rule.value) {
                templates[rule.name] = *rule.value;
            }
        }
        for (const auto& [name, value] : spec_.environment_env) {
            templates[name] = value;
        }
        if (component != nullptr) {
            for (const auto& [name, value] : component->env) {
                templates[name] = value;
            }
        }
        json result = {{"set", set}, {"templates", templates}, {"files", spec_.env_files}};
        if (app_.database.engine == config::DatabaseEngine::postgres) {
            result["database"] = {{"engine", "postgres"},
                                  {"place", layout_.database_place},
                                  {"database", spec_.names.database},
                                  {"role", spec_.names.role},
                                  {"variable", app_.database.url}};
        } else if (app_.database.engine == config::DatabaseEngine::sqlite) {
            result["database"] = {
                {"engine", "sqlite"}, {"file", sqlite_file()}, {"variable", app_.database.url}};
        }
        return result;
    }

    std::string main_component() const {
        for (const auto& component : app_.components) {
            if (spec_.ports.contains(component.name)) {
                return component.name;
            }
        }
        return "";
    }

    json run_spec(const config::UserCommand& command, const std::string& cwd,
                  const std::string& log, const config::Component* component) const {
        const auto folder = layout_.previews / spec_.names.tree;
        json spec = {
            {"argv", command.to_argv()},
            {"cwd", cwd.empty() ? tree_folder() : tree_folder() + "/" + cwd},
            {"home", (folder / "home").string()},
            {"environment", environment(component)},
            {"uid_slot", spec_.uid_slot},
            {"limits",
             {{"memory", spec_.memory_bytes}, {"cpu", spec_.cpu_percent}, {"pids", spec_.pids}}},
            {"writable", json::array({tree_folder()})},
            {"log", log_file(log)},
            {"log_bytes", spec_.log_bytes},
            // A new commit is a new spec: the same command runs other files.
            {"commit", spec_.commit}};
        if (app_.database.engine == config::DatabaseEngine::sqlite) {
            spec["writable"].push_back((folder / "data").string());
        }
        return spec;
    }

    void add_migrate() {
        if (!app_.migrate) {
            return;
        }
        json spec = run_spec(app_.migrate->run, "", "migrate", nullptr);
        spec["run"] = spec_.names.migrate_run;
        const bool postgres = app_.database.engine == config::DatabaseEngine::postgres;
        const Ref ref = postgres ? Ref{"migration", layout_.database_place, spec_.names.database}
                                 : Ref{"migration", "host", spec_.names.tree};
        std::vector<std::string> after = present({"tree", "mount", "database"});
        after.insert(after.end(), stops_.begin(), stops_.end());
        Node& node = add("migrate", "migrate", ref, std::move(spec), std::move(after));
        node.timeout = app_.migrate->timeout;
    }

    json component_spec(const config::Component& component) const {
        json spec = run_spec(component.run, component.cwd, component.name, &component);
        spec["dependency_tree"] = spec_.dependency_tree;
        spec["ports"] = json::array();
        const auto port = spec_.ports.find(component.name);
        if (port != spec_.ports.end()) {
            spec["ports"].push_back(port->second);
        }
        return spec;
    }

    void add_components() {
        for (const auto& component : app_.components) {
            const std::string start = "start." + component.name;
            const std::string& run = spec_.names.runs.at(component.name);
            add(start, "start " + component.name, {"process", "host", run},
                component_spec(component), present({"migrate", "mount", "database", "tree"}));
            const auto port = spec_.ports.find(component.name);
            if (port == spec_.ports.end()) {
                continue;
            }
            const auto health = component.health.value_or(config::Health{});
            Node& node = add("health." + component.name, component.name + " answers",
                             {"health", "host", run},
                             {{"port", port->second},
                              {"path", health.path},
                              {"uid_slot", spec_.uid_slot},
                              {"log", log_file(component.name)}},
                             {start});
            node.timeout = health.timeout;
        }
    }

    void add_superseded() {
        std::set<Ref> named;
        std::vector<std::string> all;
        for (const Node& node : graph_.nodes) {
            named.insert(node.ref);
            all.push_back(node.id);
        }
        int number = 0;
        for (const Ref& ref : world_.owned) {
            if (!named.contains(ref)) {
                Node& node = add("old." + std::to_string(number++), "remove old " + ref.type, ref,
                                 json(), all);
                node.op = Op::destroy;
                node.spec = nullptr;
            }
        }
    }

    const Spec& spec_;
    const config::App& app_;
    const Layout& layout_;
    const World& world_;
    Graph graph_;
    std::vector<std::string> stops_;
    bool stopping_ = false;
};

}    // namespace

Graph make_plan(const Spec& spec, const config::App& app, const Layout& layout,
                const World& world) {
    return Planner(spec, app, layout, world).make();
}

}    // namespace seatrial::preview::local
