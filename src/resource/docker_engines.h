// The Docker engines that containers, networks, volumes and images live on. A place of the types
// docker-* is the id of one of them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "docker/engine.h"
#include "plan/resource.h"

namespace seatrial::resource {

// Thread: any; nothing changes after construction.
class DockerEngines {
public:
    // `sockets`: by place.
    DockerEngines(const std::map<std::string, std::filesystem::path>& sockets,
                  std::string instance);
    const std::string& instance() const { return instance_; }
    // `unavailable` for a place that is not configured, `invalid` for a name that is not ours.
    Result<docker::Engine*> engine_of(const plan::Ref& ref) const;
    Result<docker::Engine*> engine_at(const std::string& place) const;

private:
    std::map<std::string, std::unique_ptr<docker::Engine>> engines_;
    std::string instance_;
};

// Labels of things of ours: the type of the resource, whose it is, and the name of its log.
inline constexpr std::string_view type_label = "seatrial.type";
inline constexpr std::string_view life_label = "seatrial.life";
inline constexpr std::string_view log_label = "seatrial.log";

// What an observation says of a thing with these labels: `foreign`, or `ready` with the hash of
// the spec it was made from.
plan::Observation judge_labels(const docker::Engine& engine, const docker::Labels& labels);
// Labels for a new thing made from `spec`: the hash, and `life` of the spec when it has one.
docker::Labels labels_for(const nlohmann::json& spec);

}    // namespace seatrial::resource
