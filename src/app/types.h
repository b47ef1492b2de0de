// The only place that names the resource types and their places.
#pragma once

#include "config/config.h"
#include "plan/resource.h"
#include "preview/parts.h"
#include "process/runner.h"
#include "resource/docker_engines.h"
#include "resource/postgres_server.h"

namespace seatrial::app {

struct TypeParts {
    process::Runner& runner;
    resource::PostgresServers& servers;
    const resource::DockerEngines& engines;
    const preview::Layout& layout;
    std::string instance, boot_id;
};

preview::Layout make_layout(const std::filesystem::path& data, const config::Server& server);
std::map<std::string, sql::PostgresTarget> postgres_targets(const config::Server& server,
                                                            const preview::Layout& layout);
std::map<std::string, std::filesystem::path> engine_sockets(const config::Server& server,
                                                            const preview::Layout& layout);
void add_types(plan::Types& types, const TypeParts& parts);
preview::Providers make_providers(const TypeParts& parts);
// Where the collector lists each type. An engine that no preview was ever in is not asked.
Result<std::map<std::string, std::vector<std::string>>> places_of(const plan::Types& types,
                                                                  const preview::Layout& layout,
                                                                  store::Records& records);
// Ends all components of all lives, for who has lost records and trees.
void end_components(const preview::Parts& parts, const Context& ctx);

}    // namespace seatrial::app
