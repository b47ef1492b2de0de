#include "release/container_spec.h"

#include "base/text.h"
#include "docker/networks.h"

namespace seatrial::release {

Result<docker::Environment> Given::environment_of(const Component& part, const Context& ctx) {
    TRY_ASSIGN(Variables variables, read(ctx));
    for (const auto& [name, value] : part.env) {
        variables.values[name] = {Secret(value), "", 0};
    }
    ComponentVariables given = component_variables(part, variables, content_.tag);
    TRY(refuse_faults(given.faults, "the variables are not right"));
    return std::move(given.values);
}

Result<Variables> Given::read(const Context& ctx) {
    const std::lock_guard lock(mutex_);
    if (!common_) {
        TRY_ASSIGN(auto common,
                   read_variables({content_.env_files, content_.secrets, {}}, sources_, ctx));
        TRY(refuse_faults(common.faults, "the variables cannot be read"));
        common_ = std::move(common);
    }
    return *common_;
}

Status ensure_network(docker::Engine& engine, const Owner& owner, const Context& ctx) {
    const std::string& name = owner.network;
    TRY_ASSIGN(auto found, docker::find_networks(engine, name, ctx));
    if (found.empty()) {
        const auto made = docker::create_network(engine, name, owner.labels, false, ctx);
        if (!made && made.error().code != Code::conflict) {
            return tl::unexpected(made.error());
        }
        TRY_ASSIGN(found, docker::find_networks(engine, name, ctx));
    }
    if (found.empty()) {
        return fail(Code::unavailable, "the network " + name + " cannot be made");
    }
    return docker::check_ours(engine, found.front().labels, "network " + name);
}

// What the engine would make of a name that is not there is nobody's.
Status ensure_volumes(docker::Engine& engine, const Content& content, const Owner& owner,
                      const Context& ctx) {
    for (const auto& part : content.components) {
        for (const auto& volume : part.volumes) {
            if (volume.source.empty()) {
                const std::string name = volume_name(owner.site, volume.name);
                TRY(docker::create_volume(engine, name, owner.labels, ctx));
                TRY_ASSIGN(const auto made, docker::find_volume(engine, name, ctx));
                TRY(docker::check_ours(engine, made ? made->labels : docker::Labels(),
                                       "volume " + name));
            } else if (!volume.source.starts_with('/')) {
                TRY_ASSIGN(const auto there, docker::find_volume(engine, volume.source, ctx));
                if (!there) {
                    return fail(Code::failed,
                                "there is no volume '" + printable(volume.source) + "'",
                                "make it with `docker volume create`, or take the line out of the "
                                "environment's release.volumes");
                }
            }
        }
    }
    return {};
}

Result<docker::ContainerSpec> make_spec(const Content& content, const Component& part,
                                        const std::string& name, const Owner& owner, Given& given,
                                        const Context& ctx) {
    docker::ContainerSpec spec;
    spec.name = name;
    spec.image = part.image;
    spec.argv = part.argv;
    TRY_ASSIGN(spec.environment, given.environment_of(part, ctx));
    spec.labels = owner.labels;
    for (const auto& key : content.key_files) {
        spec.mounts.push_back({.folder = (owner.folder / key.name).string(),
                               .target = key.target,
                               .read_only = true});
    }
    spec.labels["seatrial.component"] = part.name;
    spec.memory_bytes = part.memory_bytes;
    spec.cpu_percent = part.cpu_percent;
    spec.pids = part.pids;
    for (const auto& volume : part.volumes) {
        docker::Mount mount{.target = volume.target, .read_only = volume.read_only};
        if (volume.source.starts_with('/')) {
            mount.folder = volume.source;
        } else {
            mount.volume =
                volume.source.empty() ? volume_name(owner.site, volume.name) : volume.source;
        }
        spec.mounts.push_back(std::move(mount));
    }
    spec.networks = {{owner.network, {}}};
    for (const auto& network : content.networks) {
        spec.networks.push_back({network, {}});
    }
    spec.hosts = {{"host.docker.internal", "host-gateway"}};
    return spec;
}

Status make_one(docker::Engine& engine, const docker::ContainerSpec& spec, const Context& ctx) {
    const auto made = docker::create_container(engine, spec, ctx);
    // It may have come meanwhile; a stranger's is found out later.
    return made || made.error().code == Code::conflict ? Status() : tl::unexpected(made.error());
}

std::string log_end(docker::Engine& engine, const std::string& container, const Context& ctx) {
    std::string text;
    docker::LogOptions options;
    options.tail = 12;
    const Status read = docker::read_logs(
        engine, container, options,
        [&](docker::Stream, std::string_view part) {
            text += part;
            return text.size() < 8192;
        },
        ctx);
    return read ? printable(trim(text), true) : "";
}

std::string volume_name(const std::string& site, const std::string& name) {
    return site + "-" + name;
}

}    // namespace seatrial::release
