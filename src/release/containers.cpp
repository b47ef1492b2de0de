#include "release/containers.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "docker/containers.h"
#include "docker/networks.h"
#include "net/client.h"
#include "release/key_files.h"
#include "release/variables.h"

namespace seatrial::release {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{250};
constexpr milliseconds first_patience{500};
constexpr milliseconds longest_patience{8000};
constexpr auto stop_grace = std::chrono::seconds(10);
constexpr milliseconds worker_settles{1000};    // nothing tells more of one than that it stays

// Variables of a slot's containers: read once for all, when the first has to be made.
class Given {
public:
    Given(const Content& content, const secrets::Sources& sources)
        : content_(content), sources_(sources) {}

    Result<docker::Environment> environment_of(const Component& part, const Context& ctx) {
        TRY_ASSIGN(Variables variables, read(ctx));
        for (const auto& [name, value] : part.env) {
            variables.values[name] = {Secret(value), "", 0};
        }
        ComponentVariables given = component_variables(part, variables, content_.tag);
        TRY(refuse_faults(given.faults, "the variables are not right"));
        return std::move(given.values);
    }

private:
    Result<Variables> read(const Context& ctx) {
        const std::lock_guard lock(mutex_);
        if (!common_) {
            TRY_ASSIGN(auto common,
                       read_variables({content_.env_files, content_.secrets, {}}, sources_, ctx));
            TRY(refuse_faults(common.faults, "the variables cannot be read"));
            common_ = std::move(common);
        }
        return *common_;
    }

    const Content& content_;
    const secrets::Sources& sources_;
    std::mutex mutex_;
    std::optional<Variables> common_;
};

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
        spec.mounts.push_back(
            {.folder = (owner.keys / key.name).string(), .target = key.target, .read_only = true});
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

Status start_one(docker::Engine& engine, const Content& content, const Component& part,
                 const Owner& owner, Given& given, Instance* instance, const Context& ctx) {
    const std::string& name = instance->container;
    const auto before = docker::inspect_container(engine, name, ctx);
    if (!before && before.error().code != Code::not_found) {
        return tl::unexpected(before.error());
    }
    if (!before) {
        TRY_ASSIGN(docker::ContainerSpec spec, make_spec(content, part, name, owner, given, ctx));
        spec.networks[0].aliases = {part.name};
        TRY(make_one(engine, spec, ctx));
    } else {
        TRY(docker::check_ours(engine, before->labels, "container " + name));
    }
    TRY(docker::start_container(engine, name, ctx));
    TRY_ASSIGN(const auto seen, docker::inspect_container(engine, name, ctx));
    TRY(docker::check_ours(engine, seen.labels, "container " + name));
    const auto address = seen.addresses.find(owner.network);
    if (address != seen.addresses.end() && !part.worker) {
        instance->server = {address->second, part.port};
    }
    return {};
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

Status check_runs(docker::Engine& engine, const Component& part, const docker::Container& seen,
                  const Context& ctx) {
    if (seen.state == "running" || seen.state == "created") {
        return {};
    }
    return fail(Code::failed, part.name + " ended with exit code " +
                                  std::to_string(seen.exit_code) +
                                  (seen.out_of_memory ? " (out of memory)" : "") +
                                  " before it was healthy\n" + log_end(engine, seen.name, ctx));
}

Status await_one(docker::Engine& engine, const Component& part, const Instance& instance,
                 const Context& ctx) {
    net::Client client;
    net::ClientRequest request;
    request.url = "http://" + instance.server.address + ":" + std::to_string(instance.server.port) +
                  (part.health.empty() ? "/" : part.health);
    std::string seen = "nothing answered";
    milliseconds pause = first_pause;
    milliseconds patience = first_patience;
    const Context limited = ctx.with_timeout(part.health_timeout);
    while (true) {
        // A container that has just ended swallows what is sent to its address: short at first.
        const auto answer = client.request(request, limited.with_timeout(patience));
        patience = std::min(patience * 2, longest_patience);
        if (answer && (part.health.empty() || (answer->status >= 200 && answer->status < 400))) {
            return {};
        }
        seen = answer ? "GET " + part.health + " answered " + std::to_string(answer->status)
                      : answer.error().message;
        TRY(ctx.ok());
        TRY_ASSIGN(const auto state, docker::inspect_container(engine, instance.container, ctx));
        TRY(check_runs(engine, part, state, ctx));
        if (!wait_for(pause, limited)) {
            TRY(ctx.ok());
            return fail(Code::failed, part.name + " was not healthy in time: " + seen + "\n" +
                                          log_end(engine, instance.container, ctx));
        }
        pause = std::min(pause * 2, longest_pause);
    }
}

Status await_worker(docker::Engine& engine, const Component& part, const Instance& instance,
                    const Context& ctx) {
    TRY(wait_for(worker_settles, ctx));
    TRY_ASSIGN(const auto seen, docker::inspect_container(engine, instance.container, ctx));
    return check_runs(engine, part, seen, ctx);
}

// Calls `work` for each instance on a thread of its own; the first error.
Status all_at_once(const std::vector<std::function<Status()>>& works) {
    std::vector<Status> results(works.size());
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < works.size(); ++i) {
            threads.emplace_back([&, i] { results[i] = works[i](); });
        }
    }
    for (auto& result : results) {
        TRY(std::move(result));
    }
    return {};
}

}    // namespace

Instances choose_instances(const Content& content, const std::string& instance,
                           const std::string& site, const std::string& seed) {
    Instances out;
    for (const auto& part : content.components) {
        for (int i = 0; i < part.instances; ++i) {
            const std::string role = part.name + "/" + std::to_string(i);
            out[part.name].push_back(
                {make_name(instance, site + "-" + part.name,
                           crypto::sha256_hex(seed + "\n" + site + "\n" + role)),
                 {}});
        }
    }
    return out;
}

Status start_instances(docker::Engine& engine, const Content& content, const Owner& owner,
                       Instances* instances, const Context& ctx) {
    TRY(copy_key_files(content.key_files, owner.keys));
    TRY(ensure_network(engine, owner, ctx));
    TRY(ensure_volumes(engine, content, owner, ctx));
    Given given(content, owner.sources);
    std::vector<std::function<Status()>> works;
    for (const auto& part : content.components) {
        for (auto& instance : (*instances)[part.name]) {
            if (instance.told) {
                continue;
            }
            works.emplace_back(
                [&engine, &content, &part, &owner, &given, &instance, &ctx]() -> Status {
                    TRY(failpoint("release.start"));
                    return start_one(engine, content, part, owner, given, &instance, ctx);
                });
        }
    }
    return all_at_once(works);
}

Status await_health(docker::Engine& engine, const Content& content, const Instances& instances,
                    const Context& ctx) {
    std::vector<std::function<Status()>> works;
    for (const auto& part : content.components) {
        for (const auto& instance : instances.at(part.name)) {
            if (instance.told) {
                continue;
            }
            works.emplace_back([&engine, &part, &instance, &ctx] {
                return part.worker ? await_worker(engine, part, instance, ctx)
                                   : await_one(engine, part, instance, ctx);
            });
        }
    }
    return all_at_once(works);
}

Status make_migration(docker::Engine& engine, const Content& content, const std::string& name,
                      const Owner& owner, const Context& ctx) {
    TRY(copy_key_files(content.key_files, owner.keys));
    const auto part =
        std::find_if(content.components.begin(), content.components.end(),
                     [&](const Component& one) { return one.name == content.migration.component; });
    if (part == content.components.end()) {
        return fail(Code::invalid,
                    "has no component '" + printable(content.migration.component) + "' to run in",
                    "name one that is built in release.migrate.component");
    }
    TRY(ensure_network(engine, owner, ctx));
    TRY(ensure_volumes(engine, content, owner, ctx));
    Given given(content, owner.sources);
    TRY_ASSIGN(docker::ContainerSpec spec, make_spec(content, *part, name, owner, given, ctx));
    spec.argv = content.migration.argv;
    spec.keep_entrypoint = false;
    // A lock that it waits for stops everybody behind it: give up early, nothing is lost.
    spec.environment.try_emplace("PGOPTIONS", Secret("-c lock_timeout=5s"));
    TRY(make_one(engine, spec, ctx));
    TRY_ASSIGN(const auto seen, docker::inspect_container(engine, name, ctx));
    return docker::check_ours(engine, seen.labels, "container " + name);
}

Status run_migration(docker::Engine& engine, const std::string& name, milliseconds left,
                     const Context& ctx) {
    const auto seen = docker::inspect_container(engine, name, ctx);
    if (!seen && seen.error().code == Code::not_found) {
        return fail(Code::failed, "cannot be told: its container is gone");
    }
    TRY(seen.has_value() ? Status() : Status(tl::unexpected(seen.error())));
    if (seen->state == "created") {
        TRY(docker::start_container(engine, name, ctx));
    }
    const auto code = docker::wait_container(engine, name, ctx.with_timeout(left));
    TRY(ctx.ok());
    if (!code && code.error().code == Code::timed_out) {
        Status killed = docker::kill_container(engine, name, "KILL", ctx);
        if (!killed && killed.error().code != Code::conflict) {
            return killed;
        }
        return fail(Code::failed, "took too long and was ended\n" + log_end(engine, name, ctx),
                    "give it more time with release.migrate.timeout, or let it do less");
    }
    if (!code) {
        return tl::unexpected(code.error());
    }
    if (*code != 0) {
        return fail(Code::failed, "ended with exit code " + std::to_string(*code) + "\n" +
                                      log_end(engine, name, ctx));
    }
    return {};
}

std::string volume_name(const std::string& site, const std::string& name) {
    return site + "-" + name;
}

Status signal_to_end(docker::Engine& engine, const std::string& name, const Context& ctx) {
    const auto seen = docker::inspect_container(engine, name, ctx);
    if (!seen) {
        return seen.error().code == Code::not_found ? Status() : tl::unexpected(seen.error());
    }
    Status told = docker::kill_container(
        engine, name, seen->stop_signal.empty() ? "TERM" : seen->stop_signal, ctx);
    // It ended meanwhile.
    return !told && told.error().code == Code::conflict ? Status() : told;
}

Status remove_instances(docker::Engine& engine, const Instances& instances,
                        const std::string& network, const Context& ctx) {
    std::vector<std::function<Status()>> works;
    for (const auto& [component, list] : instances) {
        for (const auto& instance : list) {
            works.emplace_back([&engine, &instance, &ctx]() -> Status {
                Status stopped =
                    docker::stop_container(engine, instance.container, stop_grace, ctx);
                if (!stopped && stopped.error().code != Code::not_found) {
                    return stopped;
                }
                return docker::remove_container(engine, instance.container, ctx);
            });
        }
    }
    TRY(all_at_once(works));
    TRY_ASSIGN(const auto found, docker::find_networks(engine, network, ctx));
    for (const auto& one : found) {
        TRY(docker::remove_network(engine, one, ctx));
    }
    return {};
}

}    // namespace seatrial::release
