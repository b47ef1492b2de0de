#include <algorithm>
#include <set>

#include "base/text.h"
#include "config/checks.h"
#include "config/component_reader.h"
#include "config/config.h"
#include "config/env_file.h"
#include "config/queues.h"
#include "config/read.h"
#include "config/validate.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

Database read_database(const Node& root) {
    Database out;
    const Node* node = root.find("database");
    if (node == nullptr) {
        return out;
    }
    std::string engine;
    read(*node, "engine", engine);
    out.engine = engine == "postgres" ? DatabaseEngine::postgres
                 : engine == "sqlite" ? DatabaseEngine::sqlite
                                      : DatabaseEngine::none;
    read(*node, "template", out.source);
    read(*node, "url", out.url);
    read_path(*node, "file", out.file);
    return out;
}

std::vector<EnvRule> read_env(const Node& root) {
    std::vector<EnvRule> out;
    std::map<std::string, std::size_t> index;
    const auto rule = [&](const std::string& name) -> EnvRule& {
        const auto [found, fresh] = index.emplace(name, out.size());
        if (fresh) {
            out.emplace_back().name = name;
        }
        return out[found->second];
    };
    for (const auto& node : children_of(root, "env")) {
        if (node.is_list()) {    // required or optional
            for (const auto& name : node.children) {
                auto& named = rule(name.text);
                named.required = named.required || node.key == "required";
            }
            continue;
        }
        auto& named = rule(node.key);
        bool required = false;
        read(node, "required", required);
        named.required = named.required || required;
        read(node, "required_if", named.required_if);
        read(node, "secret", named.secret);
        std::string scope;
        read(node, "scope", scope);
        named.build = scope == "build";
        read(node, "components", named.components);
        read(node, "type", named.type);
        read(node, "pattern", named.pattern);
        read(node, "values", named.values);
        read(node, "description", named.description);
        if (const Node* value = node.find("value")) {
            named.value = value->text;
        }
    }
    return out;
}

App read_app(const Node& root) {
    App out;
    read(root, "app", out.name);
    for (const auto& node : children_of(root, "components")) {
        out.components.push_back(read_component(node));
    }
    if (const Node* node = root.find("install")) {
        out.install.emplace();
        read(*node, "run", out.install->run);
        read_paths(*node, "key", out.install->key);
        read_paths(*node, "keep", out.install->keep);
        read(*node, "timeout", out.install->timeout);
    }
    if (const Node* node = root.find("migrate")) {
        out.migrate.emplace();
        read(*node, "run", out.migrate->run);
        read(*node, "component", out.migrate->component);
        read(*node, "timeout", out.migrate->timeout);
    }
    if (const Node* node = root.find("release")) {
        if (const Node* migrate = node->find("migrate")) {
            auto& step = out.release_migrate.emplace();
            read(*migrate, "run", step.run);
            read(*migrate, "down", step.down);
            read(*migrate, "component", step.component);
            read_paths(*migrate, "sql", step.sql);
            read(*migrate, "contract", step.contract);
            read(*migrate, "timeout", step.timeout);
            if (const Node* snapshot = migrate->find("snapshot")) {
                auto& copy = step.snapshot.emplace();
                read(*snapshot, "url", copy.url);
                read(*snapshot, "image", copy.image);
                read(*snapshot, "keep", copy.keep);
                read(*snapshot, "timeout", copy.timeout);
                read(*snapshot, "ignore", copy.ignore);
            }
        }
        for (const auto& part : children_of(*node, "compatibility")) {
            for (const auto& other : part.children) {
                out.release_compatibility[part.key][other.key] = other.text;
            }
        }
    }
    out.database = read_database(root);
    out.env = read_env(root);
    read_paths(root, "env_files", out.env_files);
    read(root, "issue_pattern", out.issue_pattern);
    read(root, "base_branch", out.base_branch);
    for (const auto& node : children_of(root, "environments")) {
        auto& tighten = out.environments[node.key];
        if (node.find("ttl") != nullptr) {
            read(node, "ttl", tighten.ttl.emplace());
        }
        if (node.find("max") != nullptr) {
            read(node, "max", tighten.max.emplace());
        }
    }
    return out;
}

// Names that templates may use, as far as the file knows them.
std::set<std::string> template_names(const App& app) {
    std::set<std::string> out = {"PORT", "URL", app.database.url};
    for (const auto& component : app.components) {
        out.insert(variable_prefix(component.name) + "_PORT");
        out.insert(variable_prefix(component.name) + "_URL");
        out.insert(component.port);
    }
    for (const auto& rule : app.env) {
        out.insert(rule.name);
    }
    return out;
}

// Warns of names that nothing in the file gives; `own` are those of the same component.
void check_template(Source& source, const std::vector<std::string_view>& path,
                    std::string_view text, const std::set<std::string>& known,
                    const std::map<std::string, std::string>& own) {
    const auto names = template_variables(text);
    constexpr std::size_t enough = 100;
    for (const auto& name : names.value_or(std::vector<std::string>{})) {
        if (name.starts_with("PREVIEW_") || known.contains(name) || own.contains(name) ||
            source.faults.size() > enough) {
            continue;
        }
        const auto close = suggest(name, {known.begin(), known.end()});
        source.fault(path, "nothing in this file gives ${" + name + "}",
                     close ? "did you mean ${" + *close + "}?"
                           : "it must come from an env file or the server",
                     true);
    }
}

void check_components(Source& source, const App& app) {
    std::map<std::string_view, std::string_view> ports;
    const auto known = template_names(app);
    for (const auto& component : app.components) {
        const std::string_view name = component.name;
        if (component.health && component.port.empty()) {
            source.fault({"components", name, "health"}, "a health check needs a port",
                         "add port: " + variable_prefix(name) + "_PORT");
        }
        if (component.build && !component.image.empty()) {
            source.fault({"components", name, "image"}, "it has a build as well",
                         "keep one of the two");
        }
        if (component.site) {
            check_site(source, component);
        }
        if (const std::string problem = image_problem(component.image); !problem.empty()) {
            source.fault({"components", name, "image"}, problem,
                         "name a tag or a digest: nginx:1.27.3");
        }
        if (component.base_port != 0 && component.port.empty()) {
            source.fault({"components", name, "base_port"}, "it has no port",
                         "add port: " + variable_prefix(name) + "_PORT");
        }
        if (component.container_port != 0 && component.port.empty()) {
            source.fault({"components", name, "container_port"}, "it has no port",
                         "add port: " + variable_prefix(name) + "_PORT");
        }
        for (const auto& [volume, target] : component.volumes) {
            if (!is_path_below(std::string_view(target).substr(target.empty() ? 0 : 1))) {
                source.fault({"components", name, "volumes", volume},
                             "'" + excerpt(target) + "' is no folder of a container",
                             "write its place in full, without '..': /app/uploads");
            }
        }
        if (!component.port.empty() && component.port != "PORT") {
            const auto [other, fresh] = ports.emplace(component.port, name);
            if (!fresh) {
                source.fault({"components", name, "port"},
                             "component '" + std::string(other->second) + "' uses " +
                                 component.port + " too",
                             "give each its own: " + variable_prefix(name) + "_PORT");
            }
        }
        for (const auto& [variable, value] : component.env) {
            check_template(source, {"components", name, "env", variable}, value, known,
                           component.env);
        }
    }
}

void check_database(Source& source, const App& app) {
    const auto& database = app.database;
    if (database.engine == DatabaseEngine::postgres && !database.file.empty()) {
        source.fault({"database", "file"}, "PostgreSQL has no file", "remove it");
    }
    if (database.engine == DatabaseEngine::sqlite && !database.source.empty() &&
        !database.source.starts_with('/') && !is_path_below(database.source)) {
        source.fault({"database", "template"},
                     "'" + excerpt(database.source) +
                         "' is not a path below the repository, nor an absolute one",
                     "write it without '..'");
    }
}

void check_rule(Source& source, const std::set<std::string_view>& components, const EnvRule& rule) {
    const std::string_view name = rule.name;
    const std::string_view other =
        std::string_view(rule.required_if).substr(0, rule.required_if.find('='));
    if (!rule.required_if.empty() && !is_variable_name(other)) {
        source.fault({"env", name, "required_if"},
                     "'" + excerpt(rule.required_if) + "' is not a condition",
                     "write NAME, or NAME=value");
    }
    if (rule.build && rule.secret) {
        source.fault({"env", name, "scope"}, "an image shows its build arguments to everybody",
                     "let a secret be read at run time");
    }
    constexpr std::size_t enough = 100;
    for (const auto& wanted : rule.components) {
        if (components.contains(wanted) || source.faults.size() > enough) {
            continue;
        }
        const auto close = suggest(wanted, {components.begin(), components.end()});
        source.fault({"env", name, "components"}, "there is no component '" + excerpt(wanted) + "'",
                     close ? "did you mean '" + *close + "'?" : "name one of this file");
    }
}

void check_env_rules(Source& source, const App& app) {
    const auto known = template_names(app);
    std::set<std::string_view> components;
    for (const auto& component : app.components) {
        components.insert(component.name);
    }
    for (const auto& rule : app.env) {
        const std::string_view name = rule.name;
        check_rule(source, components, rule);
        if (!rule.value) {
            continue;
        }
        if (rule.secret) {
            source.fault({"env", name, "value"}, "a secret's value must not stand in this file",
                         "put it into a file named in the server's secret_files");
            continue;
        }
        check_template(source, {"env", name}, *rule.value, known, {});
        if (rule.value->find('$') != std::string::npos) {
            continue;    // judged when it is known
        }
        for (const auto& fault : check_env({rule}, {{rule.name, *rule.value}})) {
            source.fault({"env", name}, fault.message, fault.remedy);
        }
    }
}

void check_compatibility(Source& source, const App& app) {
    std::vector<std::string_view> released;
    for (const auto& component : app.components) {
        if (component.is_released()) {
            released.emplace_back(component.name);
        }
    }
    const auto check_part = [&](const std::vector<std::string_view>& path, std::string_view name) {
        if (std::ranges::find(released, name) != released.end()) {
            return;
        }
        const auto close = suggest(name, released);
        source.fault(path, "there is no component '" + excerpt(name) + "' that is released",
                     close ? "did you mean '" + *close + "'?" : "name one of this file");
    };
    for (const auto& [part, others] : app.release_compatibility) {
        check_part({"release", "compatibility", part}, part);
        for (const auto& [other, range] : others) {
            check_part({"release", "compatibility", part, other}, other);
            if (!VersionRange::parse(range)) {
                source.fault({"release", "compatibility", part, other},
                             "'" + excerpt(range) + "' is no range of versions",
                             "for example \">=1.2 <2\", ^1.4, ~1.4.2, 1.x, 1.4 || 2.x");
            }
        }
    }
}

ReleaseParts release_parts(const App& app) {
    ReleaseParts out;
    for (const auto& component : app.components) {
        if (component.build || !component.image.empty()) {
            out.all.insert(component.name);
            if (!component.port.empty()) {
                out.with_port.insert(component.name);
            }
        }
    }
    return out;
}

}    // namespace

Parsed<App> parse_app(std::string_view yaml, const std::string& name, bool both) {
    Parsed<App> out;
    auto document = parse_yaml(yaml, name);
    out.faults = std::move(document.faults);
    if (!document.complete) {
        return out;
    }
    const std::size_t before = out.faults.size();
    validate(document.root, both ? Where::both : Where::app, name, out.faults);
    out.value = read_app(document.root);
    const bool rules_fit = out.faults.size() == before;
    if (const Node* release = document.root.find("release")) {
        if (const Node* checks = release->find("checks")) {
            out.value.release_checks = read_checks(*checks, name, out.faults);
        }
        const ReleaseParts parts = release_parts(out.value);
        if (const Node* queues = release->find("queues")) {
            out.value.release_queues = read_queues(*queues, parts, name, out.faults);
        }
        if (const Node* cache = release->find("cache")) {
            out.value.release_cache = read_cache(*cache, parts, name, out.faults);
        }
    }
    // What follows judges values against each other; of faulty ones it would say odd things.
    Source source{document.root, name, out.faults};
    if (rules_fit) {
        check_env_rules(source, out.value);
    }
    check_components(source, out.value);
    check_database(source, out.value);
    check_compatibility(source, out.value);
    sort_faults(out.faults);
    return out;
}

}    // namespace seatrial::config
