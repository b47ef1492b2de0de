// Type "pg-database": a preview's own database. Place: a PostgreSQL server. Spec:
//   template  name of a pg-template, or "" for an empty database
//   owner     name of a pg-role of ours
// Cloned on the server, objects given to the owner, closed to everybody else. The mark is the
// last thing written: without it the database is half-made and is made anew.
#pragma once

#include "plan/resource.h"
#include "resource/postgres_server.h"

namespace seatrial::resource {

inline constexpr std::string_view postgres_database_type = "pg-database";

class PostgresDatabase : public plan::Type {
public:
    explicit PostgresDatabase(const PostgresServers& servers) : servers_(servers) {}
    std::string_view name() const override { return postgres_database_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // Waits for a clone whose client was killed: it goes on, and would appear later.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `unavailable` when template or role are not there (their nodes make them again).
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    Status clone(sql::Postgres& db, const plan::Ref& ref, const nlohmann::json& spec,
                 const Context& ctx);
    Status furnish(sql::Postgres& db, const plan::Ref& ref, const nlohmann::json& spec,
                   const Context& ctx);

    const PostgresServers& servers_;
};

}    // namespace seatrial::resource
