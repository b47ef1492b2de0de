#include "resource/docker_engines.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "resource/postgres_mark.h"

namespace seatrial::resource {

DockerEngines::DockerEngines(const std::map<std::string, std::filesystem::path>& sockets,
                             std::string instance)
    : instance_(std::move(instance)) {
    for (const auto& [place, socket] : sockets) {
        engines_[place] = std::make_unique<docker::Engine>(socket, instance_);
    }
}

Result<docker::Engine*> DockerEngines::engine_at(const std::string& place) const {
    const auto found = engines_.find(place);
    if (found == engines_.end()) {
        return fail(Code::unavailable, "no Docker engine is configured as " + printable(place),
                    "keep an engine in the configuration as long as something of ours is in it");
    }
    return found->second.get();
}

Result<docker::Engine*> DockerEngines::engine_of(const plan::Ref& ref) const {
    TRY(check_name(instance_, ref));
    return engine_at(ref.place);
}

plan::Observation judge_labels(const docker::Engine& engine, const docker::Labels& labels) {
    plan::Observation seen;
    if (!engine.is_ours(labels)) {
        seen.presence = plan::Presence::foreign;
        seen.detail = "it lacks our label";
        return seen;
    }
    seen.presence = plan::Presence::ready;
    const auto hash = labels.find(std::string(docker::spec_label));
    seen.spec_hash = hash == labels.end() ? "" : hash->second;
    return seen;
}

docker::Labels labels_for(const nlohmann::json& spec) {
    docker::Labels labels = {{std::string(docker::spec_label), plan::spec_hash(spec)}};
    const std::string life = spec.value("life", "");
    if (!life.empty()) {
        labels[std::string(life_label)] = life;
    }
    return labels;
}

}    // namespace seatrial::resource
