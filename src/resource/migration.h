// Type "migration": the migrate command, run once per commit; a stamp kept with what it changed.
// Place: the PostgreSQL server's id, name: the database (stamp in its comment); or place "host",
// name: the worktree (stamp file beside the tree). Not owned: it goes with what it is kept in.
// Started without done is partial and runs again: migrations keep their own table.
// Spec: resource/run_spec.h plus `run` (name of the run) and `commit`.
#pragma once

#include "plan/resource.h"
#include "resource/postgres_server.h"
#include "resource/run_spec.h"

namespace seatrial::resource {

inline constexpr std::string_view migration_type = "migration";

class Migration : public plan::Type {
public:
    Migration(process::Runner& runner, PostgresServers& servers, std::filesystem::path previews,
              DatabaseUrl database_url);
    std::string_view name() const override { return migration_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    process::Runner& runner_;
    PostgresServers& servers_;
    std::filesystem::path previews_;
    DatabaseUrl database_url_;
};

}    // namespace seatrial::resource
