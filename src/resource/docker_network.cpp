#include "resource/docker_network.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/failpoint.h"
#include "docker/networks.h"

namespace seatrial::resource {
namespace {

plan::Observation judge(const docker::Engine& engine, const std::vector<docker::Network>& found) {
    plan::Observation seen;
    for (const auto& network : found) {
        seen = judge_labels(engine, network.labels);
        seen.detail += network.subnet;
        if (seen.presence == plan::Presence::foreign) {
            return seen;
        }
    }
    if (found.size() > 1) {
        seen.presence = plan::Presence::partial;
        seen.detail = "there are " + std::to_string(found.size()) + " of them";
    }
    return seen;
}

tl::unexpected<Error> foreign(const std::string& name) {
    return fail(Code::conflict, "network " + name + " is not ours");
}

}    // namespace

plan::Traits DockerNetwork::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::replace;
    traits.rank = 30;
    traits.title = "network";
    return traits;
}

Result<std::vector<std::string>> DockerNetwork::list(const std::string& place, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_at(place));
    TRY_ASSIGN(const auto networks,
               docker::list_networks(
                   *engine, {{std::string(type_label), std::string(docker_network_type)}}, ctx));
    std::set<std::string> names;
    for (const auto& network : networks) {
        names.insert(network.name);
    }
    return std::vector<std::string>(names.begin(), names.end());
}

Result<plan::Observation> DockerNetwork::observe(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(const auto found, docker::find_networks(*engine, ref.name, ctx));
    return judge(*engine, found);
}

Status DockerNetwork::create(const plan::Ref& ref, const nlohmann::json& spec,
                             const plan::Progress& /*progress*/, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(auto found, docker::find_networks(*engine, ref.name, ctx));
    const auto seen = judge(*engine, found);
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    while (found.size() > 1) {
        TRY(docker::remove_network(*engine, found.back(), ctx));
        found.pop_back();
    }
    if (!found.empty()) {
        return {};
    }
    TRY(failpoint("docker-network.create", "before"));
    auto labels = labels_for(spec);
    labels[std::string(type_label)] = docker_network_type;    // releases have one of their own
    const auto made =
        docker::create_network(*engine, ref.name, labels, spec.value("internal", false), ctx);
    if (!made) {
        return tl::unexpected(made.error());
    }
    return failpoint("docker-network.create", "after");
}

Result<plan::Removal> DockerNetwork::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(const auto found, docker::find_networks(*engine, ref.name, ctx));
    plan::Removal removal;
    if (found.empty()) {
        removal.note = "was not there";
        return removal;
    }
    if (judge(*engine, found).presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    TRY(failpoint("docker-network.destroy", "before"));
    for (const auto& network : found) {
        TRY(docker::remove_network(*engine, network, ctx));
    }
    TRY(failpoint("docker-network.destroy", "after"));
    removal.note = "removed";
    return removal;
}

}    // namespace seatrial::resource
