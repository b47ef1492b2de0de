// The only place that names the resource types and their places.
#pragma once

#include "config/config.h"
#include "plan/resource.h"
#include "preview/local/plan.h"
#include "process/runner.h"
#include "resource/postgres_server.h"

namespace seatrial::app {

struct TypeParts {
    process::Runner& runner;
    resource::PostgresServers& servers;
    const preview::local::Layout& layout;
    std::string instance;
};

preview::local::Layout make_layout(const std::filesystem::path& data, const config::Server& server);
std::map<std::string, sql::PostgresTarget> postgres_targets(const config::Server& server,
                                                            const preview::local::Layout& layout);
void add_types(plan::Types& types, const TypeParts& parts);
// Where the collector lists each type.
std::map<std::string, std::vector<std::string>> places_of(const plan::Types& types,
                                                          const preview::local::Layout& layout);

}    // namespace seatrial::app
