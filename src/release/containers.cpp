#include "release/containers.h"

#include <algorithm>
#include <thread>

#include "base/failpoint.h"
#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "docker/containers.h"
#include "docker/networks.h"
#include "net/client.h"
#include "release/container_spec.h"
#include "release/key_files.h"
#include "release/phase_file.h"

namespace seatrial::release {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{250};
constexpr milliseconds first_patience{500};
constexpr milliseconds longest_patience{8000};
constexpr auto stop_grace = std::chrono::seconds(10);
constexpr milliseconds worker_settles{1000};    // nothing tells more of one than that it stays

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
        if (part.worker) {
            show_phase(owner.folder, spec);
        }
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

net::ClientRequest health_request(const Component& part, const Instance& instance) {
    net::ClientRequest request;
    request.url = "http://" + instance.server.address + ":" + std::to_string(instance.server.port) +
                  (part.health.empty() ? "/" : part.health);
    return request;
}

Status await_one(docker::Engine& engine, const Component& part, const Instance& instance,
                 const Context& ctx) {
    net::Client client;
    const net::ClientRequest request = health_request(part, instance);
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

// Whatever the answers: a connection alone may be the kernel's, while it takes a process down.
bool all_answer(const Content& content, const Instances& instances, const Context& ctx) {
    net::Client client;
    return std::ranges::all_of(content.components, [&](const Component& part) {
        return part.worker || std::ranges::all_of(instances.at(part.name), [&](const auto& one) {
                   return client
                       .request(health_request(part, one), ctx.with_timeout(first_patience))
                       .has_value();
               });
    });
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
    TRY(copy_key_files(content.key_files, owner.folder));
    if (has_workers(content)) {
        TRY(write_phase(owner.folder, owner.live));
    }
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

Result<bool> restart_ended(docker::Engine& engine, const Content& content, const Owner& owner,
                           Instances* instances, const Context& ctx) {
    if (all_answer(content, *instances, ctx)) {
        return false;
    }
    // Its error says that the engine knows of the end by now.
    const Status fit = await_health(engine, content, *instances, ctx);
    if (fit || is_passing(fit.error())) {
        return fit.map([] { return false; });
    }
    TRY(start_instances(engine, content, owner, instances, ctx));
    TRY(await_health(engine, content, *instances, ctx));
    return true;
}

bool is_passing(const Error& error) {
    return error.code == Code::unavailable || error.code == Code::cancelled ||
           error.mark == secrets::source_mark;
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
