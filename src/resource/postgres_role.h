// Type "pg-role": a preview's own login with its own password, of which the server only ever
// sees the SCRAM verifier. Place: a PostgreSQL server. Spec: nothing ({}).
// Role, membership of the admin (who must be able to give it databases) and mark are one
// transaction: there is no half-made role.
#pragma once

#include "plan/resource.h"
#include "resource/postgres_server.h"

namespace seatrial::resource {

inline constexpr std::string_view postgres_role_type = "pg-role";

class PostgresRole : public plan::Type {
public:
    explicit PostgresRole(const PostgresServers& servers) : servers_(servers) {}
    std::string_view name() const override { return postgres_role_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // Ends the role's sessions and takes away what it left in other databases. Its own database
    // must be gone before: `unavailable` names what it still owns.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    const PostgresServers& servers_;
};

}    // namespace seatrial::resource
