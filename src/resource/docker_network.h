// Type "docker-network": a preview's own network. Place: a Docker engine. Spec:
//   internal  true: nothing in it reaches the outside
//   life      whose it is, for people who look at the engine
#pragma once

#include "resource/docker_engines.h"

namespace seatrial::resource {

inline constexpr std::string_view docker_network_type = "docker-network";

class DockerNetwork : public plan::Type {
public:
    explicit DockerNetwork(const DockerEngines& engines) : engines_(engines) {}
    std::string_view name() const override { return docker_network_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // Two of one name, which an engine may make of one request told twice, are partial.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // Disconnects what is still connected.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    const DockerEngines& engines_;
};

}    // namespace seatrial::resource
