// Type "health": waits until a component answers, and the listener that answers is ours. Leaves
// nothing behind (not owned). Ref name = the run's name.
// Spec: port, path ("" = the port accepts), uid_slot, log.
#pragma once

#include "plan/resource.h"
#include "process/runner.h"

namespace seatrial::resource {

inline constexpr std::string_view health_type = "health";

class Health : public plan::Type {
public:
    explicit Health(process::Runner& runner) : runner_(runner) {}
    std::string_view name() const override { return health_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // Always absent: whether it answers is asked anew each time.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `failed` when the process ended, with its last lines; `conflict` (mark "port:N")
    // when a stranger answers; `failed` at the deadline, with what was last seen.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    process::Runner& runner_;
};

}    // namespace seatrial::resource
