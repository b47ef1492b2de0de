#include <algorithm>

#include "base/text.h"
#include "config/config.h"
#include "config/read.h"
#include "config/validate.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;

struct Policy {
    std::string_view name;
    std::string_view alias;    // other names of the same kind, "|" between them
    std::chrono::milliseconds ttl;
    bool approval;
    std::string_view branches;
};
constexpr Policy policies[] = {
    {"int", "dev|development", 24h, false, ""},
    {"stg", "stage|staging", 24h, false, "release/*|rc/*"},
    {"prd", "prod|production|live", 8h, true, "hotfix/*"},
};

void read_asked(const Node& gates, const char* key, const char* limit, AskedGate& out) {
    if (const Node* gate = gates.find(key)) {
        read(*gate, "prometheus", out.prometheus);
        read(*gate, "query", out.query);
        read(*gate, limit, out.limit);
        read(*gate, "on_breach", out.on_breach);
    }
}

void read_release(const Node& node, ReleasePlace& out) {
    read(node, "listen", out.listen);
    read(node, "certificate", out.certificate);
    read(node, "env_files", out.env_files);
    for (const auto& child : children_of(node, "key_files")) {
        auto& file = out.key_files[child.key];
        read(child, "file", file.file);
        read(child, "target", file.target);
    }
    for (const auto& child : children_of(node, "volumes")) {
        auto& place = out.volumes[child.key];
        read(child, "source", place.source);
        read(child, "read_only", place.read_only);
    }
    read(node, "networks", out.networks);
    read(node, "may_differ", out.may_differ);
    read(node, "canary", out.canary);
    read(node, "drain", out.drain);
    read(node, "warm", out.warm);
    read(node, "watch", out.watch);
    read(node, "hold", out.hold);
    if (const Node* gates = node.find("gates")) {
        read(*gates, "error_rate", out.error_rate);
        read(*gates, "slow_rate", out.slow_rate);
        read(*gates, "min_sample", out.min_sample);
        read(*gates, "on_breach", out.on_breach);
        read_asked(*gates, "job_success", "min", out.job_success);
        read_asked(*gates, "api_errors", "max", out.api_errors);
        if (const Node* migration = gates->find("migration")) {
            read(*migration, "max", out.migration_max);
            read(*migration, "on_breach", out.migration_breach);
        }
    }
}

void read_environment(const Node& node, Environment& out) {
    read(node, "provider", out.provider);
    read(node, "ttl", out.ttl);
    read(node, "warn_before", out.warn_before);
    read(node, "max", out.max);
    read(node, "min_isolation", out.min_isolation);
    read(node, "branches", out.branches);
    read(node, "on_reboot", out.on_reboot);
    read(node, "cluster", out.cluster);
    read(node, "role", out.role);
    read(node, "env", out.env);
    out.ttl_set = node.find("ttl") != nullptr;
    out.max_set = node.find("max") != nullptr;
    out.provider_set = node.find("provider") != nullptr;
    if (const Node* limits = node.find("limits")) {
        read_size(*limits, "memory", out.limits.memory_bytes);
        read(*limits, "cpu", out.limits.cpu_percent);
        read(*limits, "pids", out.limits.pids);
    }
    if (const Node* release = node.find("release")) {
        read_release(*release, out.release);
    }
    if (const Node* approval = node.find("approval")) {
        out.approval = true;
        read(*approval, "required", out.approval);
        out.approval_off = !out.approval;
        read(*approval, "approvers", out.approvers);
        read(*approval, "expires", out.approval_expires);
        read(*approval, "self", out.approval_self);
        read(*approval, "rollback", out.approval_rollback);
    }
}

Server read_server(const Node& root) {
    Server out = default_server();
    for (const auto& node : children_of(root, "environments")) {
        auto& environment =
            out.environments.try_emplace(node.key, default_environment(node.key)).first->second;
        read_environment(node, environment);
    }
    read(root, "default_environment", out.default_environment);
    read(root, "enabled", out.enabled);
    read(root, "host", out.host);
    read(root, "worktree_path", out.worktree_path);
    read(root, "secret_files", out.env_files);
    read_size(root, "min_free", out.min_free_bytes);
    read(root, "workers", out.workers);
    if (const Node* ports = root.find("ports")) {
        read(*ports, "base", out.port_base);
        read(*ports, "stride", out.port_stride);
        read(*ports, "slots", out.port_slots);
    }
    if (const Node* docker = root.find("docker")) {
        read(*docker, "socket", out.docker_socket);
        read(*docker, "builder", out.docker_builder);
        read(*docker, "keep", out.docker_keep);
        read_size(*docker, "min_free", out.docker_min_free_bytes);
        read_size(*docker, "build_cache", out.docker_cache_bytes);
        for (const auto& node : children_of(*docker, "registries")) {
            auto& registry = out.docker_registries[node.key];
            read(node, "user", registry.user);
            read(node, "password_file", registry.password_file);
        }
    }
    if (const Node* postgres = root.find("postgres")) {
        read(*postgres, "url", out.postgres_url);
    }
    if (const Node* logs = root.find("logs")) {
        read(*logs, "keep", out.log_keep);
        read_size(*logs, "size", out.log_bytes);
    }
    if (const Node* events = root.find("events")) {
        read(*events, "keep", out.event_keep);
    }
    if (const Node* salvage = root.find("salvage")) {
        read(*salvage, "keep", out.salvage_keep);
    }
    return out;
}

void check_server(const Node& root, const std::string& name, const Server& server,
                  std::vector<Fault>& faults) {
    if (!server.environments.contains(server.default_environment)) {
        std::vector<std::string_view> known;
        for (const auto& [key, environment] : server.environments) {
            known.push_back(key);
        }
        const Node* node = root.find("default_environment");
        const auto close = suggest(server.default_environment, known);
        faults.push_back(
            {name, node == nullptr ? 0 : node->line, "default_environment",
             "there is no environment '" + excerpt(server.default_environment) + "'",
             close ? "did you mean '" + *close + "'?" : "declare it under environments", false});
    }
}

void read_secrets(const Node& root, const std::string& name, Server& server,
                  std::vector<Fault>& faults) {
    for (const auto& node : children_of(root, "environments")) {
        const Node* release = node.find("release");
        const auto environment = server.environments.find(node.key);
        const Node* list = release == nullptr ? nullptr : release->find("secrets");
        if (list == nullptr || environment == server.environments.end()) {
            continue;
        }
        const std::string path = "environments." + node.key + ".release.secrets";
        ReleasePlace& place = environment->second.release;
        place.secrets = read_secret_sources(*list, name, path, faults);
        for (const auto& source : place.secrets) {
            if (!source.sync.file.empty() &&
                std::ranges::find(place.env_files, source.sync.file) == place.env_files.end()) {
                faults.push_back({name, list->line, path,
                                  "'" + excerpt(source.sync.file) +
                                      "' is no env file of this environment: nobody would read it",
                                  "name it in env_files, too", false});
            }
        }
    }
}

// What two want, neither could have.
void check_ports(const Node& root, const std::string& name, const Server& server,
                 std::vector<Fault>& faults) {
    struct Taken {
        ListenAddress listen;
        std::string env;
    };
    std::vector<Taken> taken;
    for (const auto& node : children_of(root, "environments")) {
        const auto environment = server.environments.find(node.key);
        const Node* release = node.find("release");
        const Node* list = release == nullptr ? nullptr : release->find("listen");
        if (list == nullptr || environment == server.environments.end()) {
            continue;
        }
        for (const auto& text : environment->second.release.listen) {
            const auto listen = parse_listen(text);
            const auto other = std::ranges::find_if(taken, [&](const Taken& one) {
                return listen && one.env != node.key && one.listen.port == listen->port &&
                       (listen->address.empty() || one.listen.address.empty() ||
                        one.listen.address == listen->address);
            });
            if (other != taken.end()) {
                faults.push_back({name, list->line, "environments." + node.key + ".release.listen",
                                  "the environment '" + other->env + "' has port " +
                                      std::to_string(listen->port) + " already",
                                  "give each a port of its own", false});
            } else if (listen) {
                taken.push_back({*listen, node.key});
            }
        }
    }
}

// Texts whose form the table of keys does not know.
void check_releases(const Node& root, const std::string& name, const Server& server,
                    std::vector<Fault>& faults) {
    for (const auto& node : children_of(root, "environments")) {
        const Node* release = node.find("release");
        const auto environment = server.environments.find(node.key);
        if (release == nullptr || environment == server.environments.end()) {
            continue;
        }
        const auto fault = [&](const char* key, const std::string& text, const char* remedy) {
            const Node* at = release->find(key);
            faults.push_back({name, at == nullptr ? release->line : at->line,
                              "environments." + node.key + ".release." + key,
                              "'" + excerpt(text) + "' is not understood", remedy, false});
        };
        for (const auto& text : environment->second.release.listen) {
            if (!parse_listen(text)) {
                fault("listen", text, "write a port, or address:port: 4400, 127.0.0.1:4400");
            }
        }
        for (const auto& [label, file] : environment->second.release.key_files) {
            if (!is_path_below(std::string_view(file.target).substr(file.target.empty() ? 0 : 1))) {
                fault("key_files", file.target, "write the file's place in the container in full");
            }
        }
        for (const auto& [label, place] : environment->second.release.volumes) {
            const std::string_view source = place.source;
            if (source.starts_with('/') ? !is_path_below(source.substr(1))
                                        : !is_engine_name(source)) {
                fault("volumes", place.source,
                      "write a folder in full, without '..', or the name of a volume");
            }
        }
        for (const auto& text : environment->second.release.networks) {
            if (!is_engine_name(text)) {
                fault("networks", text, "write its name as `docker network ls` shows it");
            }
        }
        for (const auto* gate :
             {&environment->second.release.job_success, &environment->second.release.api_errors}) {
            if (!gate->prometheus.empty() && !problem_of_url(gate->prometheus, true).empty()) {
                fault("gates", gate->prometheus,
                      "write Prometheus' URL without a path of its own: http://127.0.0.1:9090");
            }
        }
        for (const auto& text : environment->second.release.canary) {
            if (!parse_canary_step(text)) {
                fault("canary", text, "write a share and a time: 1% 5m, 0.5% 90s");
            }
        }
    }
}

}    // namespace

std::string_view environment_kind(std::string_view name) {
    for (const auto& policy : policies) {
        const auto aliases = split(policy.alias, '|');
        if (name == policy.name || std::ranges::find(aliases, name) != aliases.end()) {
            return policy.name;
        }
    }
    return {};
}

Environment default_environment(const std::string& name) {
    Environment out;
    out.name = name;
    for (const auto& policy : policies) {
        const auto aliases = split(policy.alias, '|');
        if (name != policy.name && std::ranges::find(aliases, name) == aliases.end()) {
            continue;
        }
        out.ttl = policy.ttl;
        out.approval = policy.approval;
        for (const auto branch : split(policy.branches, '|')) {
            if (!branch.empty()) {
                out.branches.emplace_back(branch);
            }
        }
    }
    return out;
}

Server default_server() {
    Server out;
    for (const auto& policy : policies) {
        const std::string name(policy.name);
        out.environments[name] = default_environment(name);
    }
    return out;
}

Parsed<Server> parse_server(std::string_view yaml, const std::string& name, bool both) {
    Parsed<Server> out;
    out.value = default_server();
    auto document = parse_yaml(yaml, name);
    out.faults = std::move(document.faults);
    if (!document.complete) {
        return out;
    }
    validate(document.root, both ? Where::both : Where::server, name, out.faults);
    out.value = read_server(document.root);
    read_secrets(document.root, name, out.value, out.faults);
    check_server(document.root, name, out.value, out.faults);
    check_releases(document.root, name, out.value, out.faults);
    check_ports(document.root, name, out.value, out.faults);
    sort_faults(out.faults);
    return out;
}

std::vector<Fault> check_combined(std::string_view yaml, const std::string& name) {
    auto faults = parse_app(yaml, name, true).faults;
    for (auto& fault : parse_server(yaml, name, true).faults) {
        if (std::ranges::find(faults, fault) == faults.end()) {
            faults.push_back(std::move(fault));
        }
    }
    sort_faults(faults);
    return faults;
}

Result<Environment> environment_for(const Server& server, const App& app, const std::string& name) {
    const auto found = server.environments.find(name);
    if (found == server.environments.end()) {
        std::vector<std::string_view> known;
        std::string list;
        for (const auto& [key, environment] : server.environments) {
            known.push_back(key);
            list += (list.empty() ? "" : ", ") + key;
        }
        const auto close = suggest(name, known);
        return fail(Code::not_found, "there is no environment '" + excerpt(name) + "'",
                    (close ? "did you mean '" + *close + "'? " : "") + "known are: " + list);
    }
    Environment out = found->second;
    if (const auto tighten = app.environments.find(name); tighten != app.environments.end()) {
        out.ttl = std::min(out.ttl, tighten->second.ttl.value_or(out.ttl));
        out.max = std::min(out.max, tighten->second.max.value_or(out.max));
    }
    return out;
}

}    // namespace seatrial::config
