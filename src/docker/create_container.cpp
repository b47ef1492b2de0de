// A container's specification as the engine wants it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "docker/containers.h"
#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

json nanoseconds(std::chrono::milliseconds time) {
    return std::chrono::nanoseconds(time).count();
}

json health_config(const HealthCheck& health) {
    json test = json::array({"CMD"});
    for (const std::string& word : health.argv) {
        test.push_back(word);
    }
    return {{"Test", test},
            {"Interval", nanoseconds(health.interval)},
            {"Timeout", nanoseconds(health.timeout)},
            {"StartPeriod", nanoseconds(health.start_period)},
            {"Retries", health.retries}};
}

json mount_config(const Mount& mount) {
    json out = {{"Target", mount.target}, {"ReadOnly", mount.read_only}};
    if (!mount.volume.empty()) {
        out["Type"] = "volume";
        out["Source"] = mount.volume;
    } else if (!mount.folder.empty()) {
        out["Type"] = "bind";
        out["Source"] = mount.folder;
    } else {
        out["Type"] = "tmpfs";
        out["TmpfsOptions"] = {{"SizeBytes", mount.memory_bytes}};
    }
    return out;
}

json endpoint_config(const NetworkUse& use) {
    return {{"Aliases", use.aliases}};
}

json host_config(const ContainerSpec& spec) {
    json mounts = json::array();
    for (const Mount& mount : spec.mounts) {
        mounts.push_back(mount_config(mount));
    }
    json ports = json::object();
    for (const Port& port : spec.ports) {
        ports[std::to_string(port.container) + "/tcp"].push_back(
            {{"HostIp", port.address},
             {"HostPort", port.host == 0 ? "" : std::to_string(port.host)}});
    }
    json config = {
        {"Memory", spec.memory_bytes},
        {"MemorySwap", spec.memory_bytes},    // the same: no swap on top
        {"NanoCpus", std::int64_t{spec.cpu_percent} * 10'000'000},
        {"ReadonlyRootfs", spec.read_only_root},
        {"Mounts", mounts},
        {"PortBindings", ports},
        {"NetworkMode", spec.networks.empty() ? "none" : spec.networks.front().network},
        {"CapDrop", json::array({"ALL"})},
        {"CapAdd", spec.capabilities},
        {"SecurityOpt", json::array({"no-new-privileges"})},
        // Process 1 must pass signals on and collect orphans; few programs do.
        {"Init", true},
        // We decide who is started again, and when.
        {"RestartPolicy", {{"Name", "no"}}},
        {"LogConfig",
         {{"Type", "local"},
          {"Config",
           {{"max-size", std::to_string(std::max<std::int64_t>(spec.log_bytes / 2, 4096))},
            {"max-file", "2"},
            {"compress", "false"}}}}}};
    for (const auto& [name, address] : spec.hosts) {
        config["ExtraHosts"].push_back(name + ":" + address);
    }
    if (spec.pids > 0) {
        config["PidsLimit"] = spec.pids;
    }
    return config;
}

json create_request(const Engine& engine, const ContainerSpec& spec) {
    json environment = json::array();
    for (const auto& [name, value] : spec.environment) {
        environment.push_back(name + "=" + value.reveal());
    }
    json exposed = json::object();
    for (const Port& port : spec.ports) {
        exposed[std::to_string(port.container) + "/tcp"] = json::object();
    }
    json request = {{"Image", spec.image},
                    {"Env", environment},
                    {"User", spec.user},
                    {"WorkingDir", spec.cwd},
                    {"Labels", engine.marked(spec.labels)},
                    {"ExposedPorts", exposed},
                    {"StopTimeout", spec.stop_grace.count()},
                    {"HostConfig", host_config(spec)}};
    if (!spec.argv.empty()) {
        request["Cmd"] = spec.argv;
    }
    if (!spec.keep_entrypoint) {
        request["Entrypoint"] = json::array({""});    // [""] clears the image's
    }
    if (spec.health) {
        request["Healthcheck"] = health_config(*spec.health);
    }
    if (!spec.networks.empty()) {
        const NetworkUse& first = spec.networks.front();
        request["NetworkingConfig"] = {
            {"EndpointsConfig", {{first.network, endpoint_config(first)}}}};
    }
    return request;
}

}    // namespace

Result<std::string> create_container(Engine& engine, const ContainerSpec& spec,
                                     const Context& ctx) {
    TRY(check_name(spec.name));
    TRY(check_image_name(spec.image));
    TRY_ASSIGN(const json made, engine.call({.method = "POST",
                                             .path = "/containers/create",
                                             .query = {{"name", spec.name}},
                                             .body = create_request(engine, spec).dump()},
                                            ctx));
    std::string id = text_of(made, "Id");
    // Engines before API 1.44 take one network at creation.
    for (std::size_t i = 1; i < spec.networks.size(); ++i) {
        TRY(check_name(spec.networks[i].network));
        const json join = {{"Container", id},
                           {"EndpointConfig", endpoint_config(spec.networks[i])}};
        TRY(engine.call({.method = "POST",
                         .path = "/networks/" + spec.networks[i].network + "/connect",
                         .body = join.dump()},
                        ctx));
    }
    return id;
}

}    // namespace seatrial::docker
