#include "preview/local/plan.h"

#include <nlohmann/json.hpp>

#include "resource/component.h"

namespace seatrial::preview::local {
namespace {

using nlohmann::json;
using plan::Graph;
using plan::Node;
using plan::Ref;

class Planner {
public:
    Planner(const Spec& spec, const config::App& app, const Layout& layout, const World& world)
        : spec_(spec), app_(app), layout_(layout), draft_{spec, app, layout, world} {}

    Graph make() {
        draft_.add_postgres();
        draft_.add_commit();
        add_dependencies();
        draft_.add_stops([this](const auto& component) { return ref_of(component); },
                         [this](const auto& component) { return component_spec(component); },
                         draft_.present({"ref", "deps", "template", "database"}));
        add_tree();
        add_mount();
        add_migrate();
        add_components();
        draft_.add_superseded();
        return draft_.finish();
    }

private:
    Ref ref_of(const config::Component& component) const {
        return {std::string(resource::component_type), "host", spec_.names.runs.at(component.name)};
    }
    std::string tree_folder() const {
        return (layout_.previews / spec_.names.tree / "tree").string();
    }

    void add_dependencies() {
        if (!app_.install || spec_.dependency_tree.empty()) {
            return;
        }
        const std::string home = (layout_.data / "homes" / spec_.app).string();
        auto& node =
            draft_.add("deps", "install dependencies", {"dep-tree", "host", spec_.dependency_tree},
                       {{"mirror", spec_.mirror},
                        {"commit", spec_.commit},
                        {"argv", app_.install->run.to_argv()},
                        {"keep", app_.install->keep},
                        {"uid_slot", spec_.install_uid_slot},
                        {"home", home},
                        {"environment", {{"set", json::object({{"CI", "1"}})}}},
                        {"log", draft_.log_file("install")}},
                       {"ref"});
        node.timeout = app_.install->timeout + std::chrono::minutes(1);
    }

    void add_tree() {
        std::vector<std::string> after = draft_.stops;
        after.emplace_back("ref");
        // The first checkout waits for nobody; one that moves a running preview's files waits
        // for all that can still fail.
        if (draft_.stopping) {
            for (auto& id : draft_.present({"deps", "template", "database"})) {
                after.push_back(std::move(id));
            }
        }
        draft_.add(
            "tree", draft_.stopping ? "move worktree" : "check out",
            {"worktree", "host", spec_.names.tree},
            {{"mirror", spec_.mirror}, {"commit", spec_.commit}, {"uid_slot", spec_.uid_slot}},
            std::move(after));
        if (app_.database.engine == config::DatabaseEngine::sqlite) {
            draft_.add("database", "copy database", {"sqlite-file", "host", spec_.names.database},
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
        if (draft_.has("deps")) {
            draft_.add("mount", "mount dependencies", {"dep-mount", "host", spec_.names.mount},
                       {{"tree", spec_.dependency_tree},
                        {"previews", layout_.previews.string()},
                        {"worktree", spec_.names.tree},
                        {"uid_slot", spec_.uid_slot}},
                       {"tree", "deps"});
        }
    }

    json environment(const config::Component* component) const {
        json result = environment_of(spec_, app_, component, [this](const auto& other) {
            return Endpoint{"localhost", spec_.ports.at(other.name)};
        });
        if (app_.database.engine == config::DatabaseEngine::postgres) {
            result["database"] = postgres_of(spec_, app_, layout_);
        } else if (app_.database.engine == config::DatabaseEngine::sqlite) {
            result["database"] = {
                {"engine", "sqlite"}, {"file", sqlite_file()}, {"variable", app_.database.url}};
        }
        return result;
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
            {"log", draft_.log_file(log)},
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
        std::vector<std::string> after = draft_.present({"tree", "mount", "database"});
        after.insert(after.end(), draft_.stops.begin(), draft_.stops.end());
        Node& node = draft_.add("migrate", "migrate", ref, std::move(spec), std::move(after));
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
            draft_.add(start, "start " + component.name, ref_of(component),
                       component_spec(component),
                       draft_.present({"migrate", "mount", "database", "tree"}));
            const auto port = spec_.ports.find(component.name);
            if (port == spec_.ports.end()) {
                continue;
            }
            const auto health = component.health.value_or(config::Health{});
            Node& node = draft_.add("health." + component.name, component.name + " answers",
                                    {"health", "host", ref_of(component).name},
                                    {{"port", port->second},
                                     {"path", health.path},
                                     {"uid_slot", spec_.uid_slot},
                                     {"log", draft_.log_file(component.name)}},
                                    {start});
            node.timeout = health.timeout;
        }
    }

    const Spec& spec_;
    const config::App& app_;
    const Layout& layout_;
    Draft draft_;
};

}    // namespace

Graph make_plan(const Spec& spec, const config::App& app, const Layout& layout,
                const World& world) {
    return Planner(spec, app, layout, world).make();
}

}    // namespace seatrial::preview::local
