// Type "process": a component of a preview as a long-running process. Place "host"; the name is
// the run's (process/runner.h). Spec: resource/run_spec.h plus `ports`, the TCP ports that must
// be free before it starts.
#pragma once

#include "plan/resource.h"
#include "resource/run_spec.h"

namespace seatrial::resource {

inline constexpr std::string_view component_type = "process";

class Component : public plan::Type {
public:
    // `data`: the data folder; specs/<name> holds the hash of the spec a run was started from.
    Component(process::Runner& runner, std::filesystem::path data, DatabaseUrl database_url);
    std::string_view name() const override { return component_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `conflict` with mark "port:N" when somebody else listens on one of `ports`.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    process::Runner& runner_;
    std::filesystem::path data_;
    DatabaseUrl database_url_;
};

}    // namespace seatrial::resource
