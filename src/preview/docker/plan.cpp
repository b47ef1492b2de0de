#include "preview/docker/plan.h"

#include <nlohmann/json.hpp>

#include "base/names.h"
#include "crypto/crypto.h"
#include "resource/docker_container.h"
#include "resource/docker_health.h"
#include "resource/docker_image.h"
#include "resource/docker_network.h"
#include "resource/static_site.h"

namespace seatrial::preview::docker {
namespace {

using nlohmann::json;
using plan::Graph;
using plan::Node;
using plan::Ref;

// What an image is made from.
json image_spec(const Spec& spec, const config::Component& component) {
    if (component.site) {
        auto source = resource::render_static(component, {});
        return {{"mirror", spec.mirror},
                {"commit", spec.commit},
                {"context", component.site->context},
                {"dockerfile", std::move(source.dockerfile)},
                {"files", std::move(source.files)}};
    }
    if (!component.build) {
        return {{"pull", component.image}};
    }
    return {{"mirror", spec.mirror},
            {"commit", spec.commit},
            {"context", component.build->context},
            {"dockerfile", component.build->file},
            {"target", component.build->target},
            {"arguments", component.build->args}};
}

class Planner {
public:
    Planner(const Spec& spec, const config::App& app, const Layout& layout, const World& world)
        : spec_(spec), app_(app), layout_(layout), draft_{spec, app, layout, world} {}

    Graph make() {
        draft_.add_commit();
        draft_.add_postgres();
        draft_.add("network", "create network",
                   place(resource::docker_network_type, spec_.names.network),
                   {{"life", spec_.life}}, {});
        add_images();
        draft_.add_stops([this](const auto& component) { return ref_of(component); },
                         [this](const auto& component) { return component_spec(component); },
                         prepared_);
        add_migrate();
        add_components();
        draft_.add_superseded();
        return draft_.finish();
    }

private:
    Ref place(std::string_view type, const std::string& name) const {
        return {std::string(type), layout_.docker_place, name};
    }
    Ref ref_of(const config::Component& component) const {
        return place(resource::docker_container_type, spec_.names.runs.at(component.name));
    }

    void add_images() {
        prepared_ = draft_.present({"ref", "network", "template", "database"});
        std::map<std::string, std::string> nodes;    // image → id
        for (const auto& component : app_.components) {
            const std::string& image = spec_.images.at(component.name);
            const std::string id = "image." + component.name;
            if (!nodes.emplace(image, id).second) {
                continue;
            }
            json spec = image_spec(spec_, component);
            spec["life"] = spec_.life;
            const bool built = !spec.contains("pull");
            if (built) {
                spec["log"] = draft_.log_file("build-" + component.name);
            }
            draft_.add(id, (built ? "build " : "pull ") + component.name,
                       place(resource::docker_image_type, image), std::move(spec), {"ref"});
            prepared_.push_back(id);
        }
    }

    // Where it listens in its container: at its fixed port, or at the one that it is published at.
    int inside_port(const config::Component& component) const {
        const bool fixed = component.container_port > 0 || component.site.has_value();
        return fixed ? resource::container_port_of(component) : spec_.ports.at(component.name);
    }

    json environment(const config::Component* component) const {
        json result = environment_of(spec_, app_, component, [this](const auto& other) {
            return Endpoint{other.name, inside_port(other)};
        });
        if (app_.database.engine == config::DatabaseEngine::postgres) {
            result["database"] = postgres_of(spec_, app_, layout_);
        }
        return result;
    }

    json run_spec(const config::Component& image_of, const std::string& log,
                  const config::Component* component) const {
        return {
            {"life", spec_.life},
            {"image", spec_.images.at(image_of.name)},
            {"environment", environment(component)},
            {"network", spec_.names.network},
            {"hosts", json::object({{"host.docker.internal", "host-gateway"}})},
            {"limits",
             {{"memory", spec_.memory_bytes}, {"cpu", spec_.cpu_percent}, {"pids", spec_.pids}}},
            {"log", log},
            {"log_bytes", spec_.log_bytes},
            {"commit", spec_.commit}};
    }

    std::vector<std::string> ready_for_runs() const {
        std::vector<std::string> after = prepared_;
        after.insert(after.end(), draft_.stops.begin(), draft_.stops.end());
        return after;
    }

    void add_migrate() {
        const config::Component* component = migrating_component(app_);
        if (!app_.migrate || component == nullptr) {
            return;
        }
        json spec = run_spec(*component, "migrate", nullptr);
        spec["argv"] = app_.migrate->run.to_argv();
        Node& node = draft_.add("migrate", "migrate",
                                place(resource::docker_task_type, spec_.names.migrate_run),
                                std::move(spec), ready_for_runs());
        node.timeout = app_.migrate->timeout;
    }

    json component_spec(const config::Component& component) const {
        json spec = run_spec(component, component.name, &component);
        spec["aliases"] = json::array({component.name});
        const auto port = spec_.ports.find(component.name);
        if (port != spec_.ports.end()) {
            spec["ports"] =
                json::array({{{"container", inside_port(component)}, {"host", port->second}}});
        }
        return spec;
    }

    void add_components() {
        for (const auto& component : app_.components) {
            const std::string start = "start." + component.name;
            auto after = ready_for_runs();
            for (auto& id : draft_.present({"migrate"})) {
                after.push_back(std::move(id));
            }
            draft_.add(start, "start " + component.name, ref_of(component),
                       component_spec(component), std::move(after));
            if (!spec_.ports.contains(component.name)) {
                continue;
            }
            const auto health = component.health.value_or(config::Health{});
            Node& node = draft_.add("health." + component.name, component.name + " answers",
                                    place(resource::docker_health_type, ref_of(component).name),
                                    {{"port", spec_.ports.at(component.name)},
                                     {"inside", inside_port(component)},
                                     {"path", health.path},
                                     {"network", spec_.names.network}},
                                    {start});
            node.timeout = health.timeout;
        }
    }

    const Spec& spec_;
    const config::App& app_;
    const Layout& layout_;
    Draft draft_;
    std::vector<std::string> prepared_;    // all that may fail while the old ones run
};

}    // namespace

const config::Component* migrating_component(const config::App& app) {
    const config::Component* found = nullptr;
    for (const auto& component : app.components) {
        const bool has_image = component.build.has_value() || !component.image.empty();
        const bool named = app.migrate && component.name == app.migrate->component;
        if (has_image && (found == nullptr || named)) {
            found = &component;
        }
    }
    return found;
}

std::map<std::string, std::string> choose_images(const Spec& spec, const config::App& app,
                                                 const std::string& instance) {
    std::map<std::string, std::string> images;
    for (const auto& component : app.components) {
        // The preview's own, also where two previews build the same: each goes with its preview.
        const std::string identity = spec.life + "\nimage\n" + image_spec(spec, component).dump();
        images[component.name] =
            make_name(instance, spec.key + "-image", crypto::sha256_hex(identity));
    }
    return images;
}

Graph make_plan(const Spec& spec, const config::App& app, const Layout& layout,
                const World& world) {
    return Planner(spec, app, layout, world).make();
}

}    // namespace seatrial::preview::docker
