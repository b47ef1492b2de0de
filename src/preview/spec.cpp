#include "preview/spec.h"

#include <nlohmann/json.hpp>

#include "base/names.h"
#include "crypto/crypto.h"

namespace seatrial::preview {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Names, tree, git_ref, mount, database, role,
                                                migrate_run, network, runs)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(
    Spec, life, app, key, env, branch, base_branch, fork, commit, mirror, repository, remote,
    requested_by, app_file, app_text, variables, provider, ttl_ms, warn_before_ms, keep_failed_ms,
    memory_bytes, cpu_percent, pids, min_isolation, on_reboot, host, environment_env, env_files,
    log_bytes, names, ports, uid_slot, install_uid_slot, empty_database, database_serial,
    template_name, dependency_tree, images, tree_env)

std::string render_spec(const Spec& spec) {
    nlohmann::json json = spec;
    json["version"] = spec_version;
    return json.dump();
}

Result<Spec> parse_spec(const std::string& text) {
    try {
        const auto json = nlohmann::json::parse(text);
        const int version = json.value("version", 0);
        if (version < 1 || version > spec_version) {
            return fail(Code::invalid,
                        "the record's spec has version " + std::to_string(version) +
                            ", this program knows up to " + std::to_string(spec_version),
                        "start the newer seatrial");
        }
        return json.get<Spec>();
    } catch (const nlohmann::json::exception& error) {
        return fail(Code::invalid,
                    std::string("the record's spec cannot be read: ") + error.what());
    }
}

Result<config::App> app_of(const Spec& spec) {
    config::App app;
    if (spec.app_text.empty()) {
        app = config::app_from_variables(spec.variables, spec.app);
    } else {
        auto parsed = config::parse_app(spec.app_text, spec.app_file, true);
        if (!parsed.ok()) {
            return tl::unexpected(config::faults_to_error(parsed.faults));
        }
        app = std::move(parsed.value);
    }
    config::Server ignored = config::default_server();
    for (const auto& fault : config::apply_variables(spec.variables, app, ignored)) {
        if (!fault.warning) {
            return tl::unexpected(config::faults_to_error({fault}));
        }
    }
    return app;
}

void choose_names(Spec& spec, const config::App& app, const std::string& instance) {
    const auto name = [&](const std::string& role) {
        return make_name(instance, spec.key + "-" + role,
                         crypto::sha256_hex(spec.life + "\n" + role));
    };
    const auto choose = [&](std::string& where, const std::string& role) {
        if (where.empty()) {
            where = name(role);
        }
    };
    choose(spec.names.tree, "tree");
    choose(spec.names.git_ref, "ref");
    choose(spec.names.mount, "deps");
    choose(spec.names.migrate_run, "migrate");
    choose(spec.names.network, "net");
    if (app.database.engine != config::DatabaseEngine::none) {
        choose(spec.names.database,
               spec.database_serial == 0 ? "db" : "db" + std::to_string(spec.database_serial));
        choose(spec.names.role, "role");
    }
    for (const auto& component : app.components) {
        choose(spec.names.runs[component.name], component.name);
    }
}

std::map<std::string, std::string> urls_of(const Spec& spec, const config::App& app) {
    std::map<std::string, std::string> urls;
    for (const auto& component : app.components) {
        const auto port = spec.ports.find(component.name);
        if (port != spec.ports.end()) {
            urls[component.name] = "http://" + spec.host + ":" + std::to_string(port->second);
        }
    }
    return urls;
}

}    // namespace seatrial::preview
