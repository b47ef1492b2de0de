#include "config/variables.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "config/config.h"
#include "config/values.h"
#include "config/yaml.h"

namespace seatrial::config {

struct VariableTarget {
    App& app;
    Server& server;
    std::vector<Fault>& faults;
};

namespace {

using Target = VariableTarget;

void fault(const Variable& variable, std::string message, std::string remedy, Target& target,
           bool warning = false) {
    target.faults.push_back({"environment", 0, std::string(variable.name), std::move(message),
                             std::move(remedy), warning});
}

Component* find_component(App& app, std::string_view name) {
    const auto found = std::ranges::find(app.components, name, &Component::name);
    return found == app.components.end() ? nullptr : &*found;
}

// PREVIEW_WEB_CMD speaks of component web, PREVIEW_API_BASE_PORT of api.
Component* component_of(const Variable& variable, Target& target) {
    const std::string_view name = variable.name.starts_with("PREVIEW_WEB_") ? "web" : "api";
    Component* component = find_component(target.app, name);
    if (component == nullptr) {
        fault(variable, "the app has no component '" + std::string(name) + "'; it has no effect",
              "unset it", target, true);
    }
    return component;
}

std::optional<int> number(const Variable& variable, const std::string& value, int low, int high,
                          Target& target) {
    const auto parsed = parse_integer(trim(value));
    if (parsed && *parsed >= low && *parsed <= high) {
        return static_cast<int>(*parsed);
    }
    fault(
        variable,
        "'" + excerpt(value) + "' is not a whole number from " + std::to_string(low) + " to " +
            std::to_string(high),
        variable.fallback.empty() ? "correct it" : "for example " + std::string(variable.fallback),
        target);
    return std::nullopt;
}

void set_provider(const Variable& variable, const std::string& value, Target& target) {
    if (value != "local" && value != "docker" && value != "k8s") {
        fault(variable, "'" + excerpt(value) + "' is not one of local, docker, k8s",
              "choose one of them", target);
        return;
    }
    for (auto& [name, environment] : target.server.environments) {
        environment.provider = environment.provider_set ? environment.provider : value;
    }
}

void set_enabled(const Variable& variable, const std::string& value, Target& target) {
    if (const auto parsed = parse_switch(trim(value))) {
        target.server.enabled = *parsed;
        return;
    }
    fault(variable, "'" + excerpt(value) + "' is not true or false", "write true or false", target);
}

void set_base_port(const Variable& variable, const std::string& value, Target& target) {
    Component* component = component_of(variable, target);
    const auto port = number(variable, value, 1024, 65535, target);
    if (component != nullptr && port) {
        component->base_port = *port;
    }
}

void set_max(const Variable& variable, const std::string& value, Target& target) {
    if (const auto max = number(variable, value, 0, 10'000, target)) {
        for (auto& [name, environment] : target.server.environments) {
            environment.max = environment.max_set ? std::min(environment.max, *max) : *max;
        }
    }
}

void set_ttl(const Variable& variable, const std::string& value, Target& target) {
    constexpr int year = 366 * 24;
    const auto hours = number(variable, value, 1, year, target);
    if (!hours) {
        return;
    }
    const std::chrono::milliseconds ttl = std::chrono::hours(*hours);
    for (auto& [name, environment] : target.server.environments) {
        // What needs a person's yes has its own time whatever is set here.
        if (environment.ttl_set) {
            environment.ttl = std::min(environment.ttl, ttl);
        } else if (!environment.approval) {
            environment.ttl = ttl;
        }
    }
}

void set_host(const Variable& variable, const std::string& value, Target& target) {
    if (!is_host(value)) {
        fault(variable, "'" + excerpt(value) + "' is not a host name",
              "write a name or an address, without scheme and port", target);
        return;
    }
    target.server.host = value;
}

void set_worktree_path(const Variable& variable, const std::string& value, Target& target) {
    if (value.find('{') != std::string::npos) {
        fault(variable, "'" + excerpt(value) + "' has a placeholder",
              "write the path out, for example /srv/previews", target);
    } else if (!value.starts_with('/') || !is_path_below(std::string_view(value).substr(1))) {
        fault(variable, "'" + excerpt(value) + "' is not an absolute path",
              "start it with '/', without '..'", target);
    } else {
        target.server.worktree_path = "/" + std::string(clean_path(value.substr(1)));
    }
}

void set_template(const Variable& variable, const std::string& value, Target& target) {
    auto& database = target.app.database;
    if (database.engine == DatabaseEngine::sqlite) {
        fault(variable, "the app's file says database.engine: sqlite; it has no effect", "unset it",
              target, true);
        return;
    }
    constexpr std::size_t longest = 63;    // PostgreSQL cuts longer names
    if (value.size() > longest || !is_valid_utf8(value)) {
        fault(variable, "not the name of a database", "use at most 63 bytes of UTF-8", target);
        return;
    }
    database.engine = DatabaseEngine::postgres;
    database.source = value;
}

void set_install(const Variable& /*variable*/, const std::string& value, Target& target) {
    auto& install = target.app.install;
    install = install.value_or(Install{});
    install->run = {value, {}};
}

void set_migrate(const Variable& /*variable*/, const std::string& value, Target& target) {
    auto& migrate = target.app.migrate;
    migrate = migrate.value_or(Migrate{});
    migrate->run = {value, {}};
}

void set_command(const Variable& variable, const std::string& value, Target& target) {
    if (Component* component = component_of(variable, target)) {
        component->run = {value, {}};
    }
}

// INT_EKS_CLUSTER_ARN speaks of environment int.
Environment* environment_of(const Variable& variable, Target& target) {
    std::string name(variable.name.substr(0, variable.name.find('_')));
    std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    const auto found = target.server.environments.find(name);
    return found == target.server.environments.end() ? nullptr : &found->second;
}

void set_cluster(const Variable& variable, const std::string& value, Target& target) {
    if (Environment* environment = environment_of(variable, target)) {
        environment->cluster = value;
    }
}

void set_role(const Variable& variable, const std::string& value, Target& target) {
    Environment* environment = environment_of(variable, target);
    if (!value.starts_with("arn:")) {
        fault(variable, "'" + excerpt(value) + "' is not the ARN of a role",
              "it looks like arn:aws:iam::222222222222:role/name", target);
    } else if (environment != nullptr) {
        environment->role = value;
    }
}

constexpr Variable table[] = {
    {"PREVIEW_PROVIDER", "local", "environments.*.provider",
     "What runs previews, where the server's file does not say it.", set_provider},
    {"PREVIEW_ENABLED", "true", "enabled", "`false`: no new previews.", set_enabled},
    {"PREVIEW_WEB_BASE_PORT", "5100", "components.web.base_port", "First port of `web`.",
     set_base_port},
    {"PREVIEW_API_BASE_PORT", "5200", "components.api.base_port", "First port of `api`.",
     set_base_port},
    {"PREVIEW_MAX_INSTANCES", "5", "environments.*.max",
     "Previews at once; a smaller number in the server's file wins.", set_max},
    {"PREVIEW_TTL_HOURS", "24", "environments.*.ttl",
     "Hours until a preview goes; a shorter time in the server's file wins. Environments that "
     "need an approval keep theirs (`prd`: 8).",
     set_ttl},
    {"PREVIEW_HOST", "localhost", "host", "Host name in URLs.", set_host},
    {"PREVIEW_WORKTREE_PATH", "", "worktree_path",
     "Folder for the working trees; by default one in the data folder.", set_worktree_path},
    {"PREVIEW_TEMPLATE_DB_NAME", "rtb_dev", "database.template",
     "Database that each preview's is cloned from.", set_template},
    {"PREVIEW_INSTALL_CMD", "pnpm install --frozen-lockfile", "install.run",
     "How dependencies are installed.", set_install},
    {"PREVIEW_MIGRATE_CMD", "pnpm db:migrate", "migrate.run", "How the schema is migrated.",
     set_migrate},
    {"PREVIEW_WEB_CMD", "pnpm dev:web", "components.web.run", "Starts `web`.", set_command},
    {"PREVIEW_API_CMD", "pnpm dev:api", "components.api.run", "Starts `api`.", set_command},
    {"INT_EKS_CLUSTER_ARN", "", "environments.int.cluster",
     "Cluster of `int`: an ARN, or a kubeconfig context.", set_cluster},
    {"STG_EKS_CLUSTER_ARN", "", "environments.stg.cluster", "Cluster of `stg`.", set_cluster},
    {"STG_EKS_ASSUME_ROLE_ARN", "", "environments.stg.role", "Role assumed for it.", set_role},
    {"PRD_EKS_CLUSTER_ARN", "", "environments.prd.cluster", "Cluster of `prd`.", set_cluster},
    {"PRD_EKS_ASSUME_ROLE_ARN", "", "environments.prd.role", "Role assumed for it.", set_role},
};

std::string fallback(std::string_view name) {
    return std::string(std::ranges::find(table, name, &Variable::name)->fallback);
}

Component document_component(const std::string& name, const std::string& prefix) {
    Component out;
    out.name = name;
    out.run = {fallback("PREVIEW_" + prefix + "_CMD"), {}};
    out.port = prefix + "_PORT";
    out.base_port =
        static_cast<int>(parse_integer(fallback("PREVIEW_" + prefix + "_BASE_PORT")).value_or(0));
    out.health.emplace();
    return out;
}

}    // namespace

std::span<const Variable> variable_table() {
    return table;
}

Variables preview_variables(Lookup lookup) {
    Variables out;
    for (const auto& variable : table) {
        const std::string name(variable.name);
        auto value = lookup(name.c_str());
        if (value && !value->empty()) {
            out.emplace(name, std::move(*value));
        }
    }
    return out;
}

App app_from_variables(const Variables& variables, const std::string& name) {
    App app;
    app.name = name;
    app.components = {document_component("web", "WEB"), document_component("api", "API")};
    app.components.back().path = "/api";
    app.install.emplace();
    app.install->run = {fallback("PREVIEW_INSTALL_CMD"), {}};
    app.install->key = {"pnpm-lock.yaml"};
    app.install->keep = {"node_modules*", "*/node_modules", "*/*/node_modules"};
    app.migrate.emplace();
    app.migrate->run = {fallback("PREVIEW_MIGRATE_CMD"), {}};
    app.database.engine = DatabaseEngine::postgres;
    app.database.source = fallback("PREVIEW_TEMPLATE_DB_NAME");
    Server ignored = default_server();
    apply_variables(variables, app, ignored);
    return app;
}

std::vector<Fault> apply_variables(const Variables& variables, App& app, Server& server) {
    std::vector<Fault> faults;
    Target target{app, server, faults};
    for (std::size_t i = 0; i < std::size(table); ++i) {
        const auto found = variables.find(std::string(table[i].name));
        if (found == variables.end()) {
            continue;
        }
        if (found->second.find('\0') != std::string::npos) {
            fault(table[i], "has a NUL byte", "remove it", target);
            continue;
        }
        table[i].apply(table[i], found->second, target);
    }
    return faults;
}

}    // namespace seatrial::config
