// Type "docker-health": waits until a component in a container answers. Leaves nothing behind (not
// owned). Place: a Docker engine; ref name = the container's.
// Spec: port (published at localhost, the same in the container), path ("" = the port accepts),
// network (the one that both are in).
#pragma once

#include "resource/docker_engines.h"

namespace seatrial::resource {

inline constexpr std::string_view docker_health_type = "docker-health";

class DockerHealth : public plan::Type {
public:
    explicit DockerHealth(const DockerEngines& engines) : engines_(engines) {}
    std::string_view name() const override { return docker_health_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // Always absent: whether it answers is asked anew each time.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `failed` when the container ended, with its last lines, and at the deadline, with
    // what was last seen.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    const DockerEngines& engines_;
};

}    // namespace seatrial::resource
