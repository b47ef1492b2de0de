// Type "pg-template": a frozen copy of a configured source database, from which previews'
// databases are cloned. Shared: its name is made from source, schema and version, so that a
// changed source gets a new one. Place: a PostgreSQL server. Spec:
//   source  name of the source database
// Cloned on the server when nobody uses the source and its objects can be handed on, else by
// pg_dump | pg_restore. Ready means: a template that accepts no connection.
#pragma once

#include "plan/resource.h"
#include "resource/postgres_server.h"

namespace seatrial::resource {

inline constexpr std::string_view postgres_template_type = "pg-template";

class PostgresTemplate : public plan::Type {
public:
    explicit PostgresTemplate(const PostgresServers& servers) : servers_(servers) {}
    std::string_view name() const override { return postgres_template_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `invalid` when the source does not exist or may not be copied.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    Status copy(sql::Postgres& db, const plan::Ref& ref, const std::string& source,
                const plan::Progress& progress, const Context& ctx);
    Status dump(sql::Postgres& db, const plan::Ref& ref, const std::string& source,
                const Context& ctx);
    Status freeze(sql::Postgres& db, const plan::Ref& ref, const nlohmann::json& spec,
                  const Context& ctx);

    const PostgresServers& servers_;
};

// Hash of what a database is made of: tables, columns, types, constraints, indexes, views,
// functions, triggers, extensions; not of its rows. Equal schemas have equal hashes, whatever the
// order in which they were made. Errors: `invalid` when there is no such database.
Result<std::string> schema_hash(const PostgresServers& servers, const std::string& place,
                                const std::string& source, const Context& ctx);

}    // namespace seatrial::resource
