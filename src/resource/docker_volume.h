// Type "docker-volume": what containers of one preview keep. Place: a Docker engine. Spec:
//   life  whose it is, for people who look at the engine
// Its content is never touched: a change of the spec keeps it.
#pragma once

#include "resource/docker_engines.h"

namespace seatrial::resource {

inline constexpr std::string_view docker_volume_type = "docker-volume";

class DockerVolume : public plan::Type {
public:
    explicit DockerVolume(const DockerEngines& engines) : engines_(engines) {}
    std::string_view name() const override { return docker_volume_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    const DockerEngines& engines_;
};

}    // namespace seatrial::resource
