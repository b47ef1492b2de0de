#include "resource/docker_volume.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "docker/networks.h"

namespace seatrial::resource {
namespace {

tl::unexpected<Error> foreign(const std::string& name) {
    return fail(Code::conflict, "volume " + name + " is not ours");
}

Result<plan::Observation> look(docker::Engine& engine, const std::string& name,
                               const Context& ctx) {
    TRY_ASSIGN(const auto found, docker::find_volume(engine, name, ctx));
    return found ? judge_labels(engine, found->labels) : plan::Observation();
}

}    // namespace

plan::Traits DockerVolume::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::keep;
    traits.rank = 25;
    traits.title = "volume";
    return traits;
}

Result<std::vector<std::string>> DockerVolume::list(const std::string& place, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_at(place));
    TRY_ASSIGN(const auto volumes, docker::list_volumes(*engine, {}, ctx));
    std::vector<std::string> names;
    for (const auto& volume : volumes) {
        names.push_back(volume.name);
    }
    return names;
}

Result<plan::Observation> DockerVolume::observe(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    return look(*engine, ref.name, ctx);
}

Status DockerVolume::create(const plan::Ref& ref, const nlohmann::json& spec,
                            const plan::Progress& /*progress*/, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(const auto seen, look(*engine, ref.name, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    if (seen.presence == plan::Presence::ready) {
        return {};
    }
    TRY(failpoint("docker-volume.create", "before"));
    TRY(docker::create_volume(*engine, ref.name, labels_for(spec), ctx));
    TRY(failpoint("docker-volume.create", "after"));
    // The engine says "created" too of one that somebody else made just before.
    TRY_ASSIGN(const auto made, look(*engine, ref.name, ctx));
    return made.presence == plan::Presence::ready ? Status() : foreign(ref.name);
}

Result<plan::Removal> DockerVolume::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(const auto seen, look(*engine, ref.name, ctx));
    plan::Removal removal;
    if (seen.presence == plan::Presence::absent) {
        removal.note = "was not there";
        return removal;
    }
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    TRY(failpoint("docker-volume.destroy", "before"));
    TRY(docker::remove_volume(*engine, ref.name, ctx));
    TRY(failpoint("docker-volume.destroy", "after"));
    removal.note = "removed";
    return removal;
}

}    // namespace seatrial::resource
