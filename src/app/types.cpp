#include "app/types.h"

#include "resource/component.h"
#include "resource/dependency_mount.h"
#include "resource/dependency_tree.h"
#include "resource/health.h"
#include "resource/migration.h"
#include "resource/mirror_ref.h"
#include "resource/postgres_database.h"
#include "resource/postgres_role.h"
#include "resource/postgres_template.h"
#include "resource/sqlite_file.h"
#include "resource/worktree.h"

namespace seatrial::app {

preview::local::Layout make_layout(const std::filesystem::path& data,
                                   const config::Server& server) {
    preview::local::Layout layout;
    layout.data = data;
    layout.previews = server.worktree_path.empty() ? data / "previews"
                                                   : std::filesystem::path(server.worktree_path);
    return layout;
}

std::map<std::string, sql::PostgresTarget> postgres_targets(const config::Server& server,
                                                            const preview::local::Layout& layout) {
    sql::PostgresTarget target;
    target.conninfo = Secret(server.postgres_url);
    return {{layout.database_place, target}};
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
}

std::map<std::string, std::vector<std::string>> places_of(const plan::Types& types,
                                                          const preview::local::Layout& layout) {
    std::map<std::string, std::vector<std::string>> places;
    for (const plan::Type* type : types.all()) {
        if (type->traits().owned) {
            const bool database = type->name().starts_with("pg-");
            places[std::string(type->name())] = {database ? layout.database_place : "host"};
        }
    }
    return places;
}

}    // namespace seatrial::app
