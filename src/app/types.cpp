#include "app/types.h"

#include "log/log.h"
#include "preview/docker/provider.h"
#include "preview/local/provider.h"
#include "resource/component.h"
#include "resource/dependency_mount.h"
#include "resource/dependency_tree.h"
#include "resource/docker_container.h"
#include "resource/docker_health.h"
#include "resource/docker_image.h"
#include "resource/docker_network.h"
#include "resource/docker_volume.h"
#include "resource/health.h"
#include "resource/migration.h"
#include "resource/mirror_ref.h"
#include "resource/postgres_database.h"
#include "resource/postgres_role.h"
#include "resource/postgres_template.h"
#include "resource/sqlite_file.h"
#include "resource/worktree.h"

namespace seatrial::app {

preview::Layout make_layout(const std::filesystem::path& data, const config::Server& server) {
    preview::Layout layout;
    layout.data = data;
    layout.previews = server.worktree_path.empty() ? data / "previews"
                                                   : std::filesystem::path(server.worktree_path);
    return layout;
}

std::map<std::string, sql::PostgresTarget> postgres_targets(const config::Server& server,
                                                            const preview::Layout& layout) {
    sql::PostgresTarget target;
    target.conninfo = Secret(server.postgres_url);
    return {{layout.database_place, target}};
}

std::map<std::string, std::filesystem::path> engine_sockets(const config::Server& server,
                                                            const preview::Layout& layout) {
    return {{layout.docker_place, server.docker_socket}};
}

void add_types(plan::Types& types, const TypeParts& parts) {
    const auto& layout = parts.layout;
    const resource::DatabaseUrl database_url =
        [&servers = parts.servers](const std::string& place, const std::string& database,
                                   const std::string& role, const Context& ctx) {
            return servers.database_url(place, database, role, ctx);
        };
    types.add(std::make_unique<resource::MirrorRef>(layout.data, parts.instance));
    types.add(std::make_unique<resource::Worktree>(parts.runner, layout.data, layout.previews,
                                                   parts.instance));
    types.add(std::make_unique<resource::DependencyTree>(parts.runner, layout.data, parts.instance,
                                                         database_url));
    types.add(
        std::make_unique<resource::DependencyMount>(parts.runner, layout.data, parts.instance));
    types.add(std::make_unique<resource::PostgresTemplate>(parts.servers));
    types.add(std::make_unique<resource::PostgresRole>(parts.servers));
    types.add(std::make_unique<resource::PostgresDatabase>(parts.servers));
    types.add(std::make_unique<resource::SqliteFile>(
        parts.instance, layout.data,
        [&runner = parts.runner](const std::filesystem::path& tree, int uid_slot,
                                 const Context& ctx) { return runner.own(tree, uid_slot, ctx); },
        [&runner = parts.runner](const std::filesystem::path& tree, const Context& ctx) {
            return runner.remove(tree, ctx);
        },
        layout.previews));
    types.add(std::make_unique<resource::Migration>(parts.runner, parts.servers, layout.previews,
                                                    database_url));
    types.add(std::make_unique<resource::Component>(parts.runner, layout.data, database_url));
    types.add(std::make_unique<resource::Health>(parts.runner));
    const resource::DatabaseUrl url_in_container =
        [&servers = parts.servers](const std::string& place, const std::string& database,
                                   const std::string& role, const Context& ctx) {
            return servers.database_url(place, database, role, ctx,
                                        resource::PostgresServers::From::container);
        };
    using Kind = resource::DockerContainer::Kind;
    for (const Kind kind : {Kind::component, Kind::task}) {
        types.add(std::make_unique<resource::DockerContainer>(kind, parts.engines, url_in_container,
                                                              layout.data / "logs"));
    }
    types.add(std::make_unique<resource::DockerNetwork>(parts.engines));
    types.add(std::make_unique<resource::DockerVolume>(parts.engines));
    types.add(std::make_unique<resource::DockerImage>(parts.engines, layout.data / "mirrors"));
    types.add(std::make_unique<resource::DockerHealth>(parts.engines));
}

preview::Providers make_providers(const TypeParts& parts) {
    preview::Providers providers;
    providers["local"] = std::make_unique<preview::local::LocalProvider>(
        parts.runner, parts.layout, parts.instance, parts.boot_id);
    providers["docker"] = std::make_unique<preview::docker::DockerProvider>(
        parts.engines, parts.servers, parts.layout);
    return providers;
}

Result<std::map<std::string, std::vector<std::string>>> places_of(const plan::Types& types,
                                                                  const preview::Layout& layout,
                                                                  store::Records& records) {
    TRY_ASSIGN(const auto used, records.meta(preview::used_key("docker")));
    std::map<std::string, std::vector<std::string>> places;
    for (const plan::Type* type : types.all()) {
        const bool docker = type->name().starts_with("docker-");
        if (!type->traits().owned || (docker && !used)) {
            continue;
        }
        places[std::string(type->name())] = {docker ? layout.docker_place
                                             : type->name().starts_with("pg-")
                                                 ? layout.database_place
                                                 : "host"};
    }
    return places;
}

void end_components(const preview::Parts& parts, const Context& ctx) {
    const auto lives = parts.records.lives({});
    if (!lives) {
        log::error("the records are gone: components may be left", lives.error());
        return;
    }
    for (const auto& life : *lives) {
        const auto spec = preview::parse_spec(life.spec);
        const auto provider =
            spec ? preview::provider_of(parts, *spec) : tl::unexpected(spec.error());
        if (!provider) {
            continue;
        }
        for (const auto& [component, run] : spec->names.runs) {
            if (const auto ended = (*provider)->kill(run, ctx); !ended) {
                log::error("a component may be left", ended.error(), {{"life", life.id}});
            }
        }
    }
}

}    // namespace seatrial::app
