#include "resource/docker_health.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/probe.h"
#include "resource/docker_container.h"

namespace seatrial::resource {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{250};
// An answer is noticed late by this part of the time that it took, at most.
constexpr int promptness = 20;
constexpr int tail_lines = 12;

struct Target {
    std::string container;
    std::uint16_t port = 0;
    std::string path, network;
};

// True: healthy; false: not yet, and `seen` says why.
Result<bool> look(docker::Engine& engine, const Target& target, std::string& seen,
                  const Context& ctx) {
    TRY_ASSIGN(const auto container, docker::inspect_container(engine, target.container, ctx));
    if (container.state != "running" && container.state != "created") {
        return fail(Code::failed, "it ended before it answered: " + render_end(container) + "\n" +
                                      container_tail(engine, target.container, tail_lines, ctx));
    }
    const Context patience = ctx.with_timeout(std::chrono::seconds(5));
    if (target.path.empty()) {
        // The engine accepts at the published port, whoever listens behind it: ask inside.
        const auto address = container.addresses.find(target.network);
        const Status accepted = address == container.addresses.end()
                                    ? fail(Code::unavailable, "the container has no address yet")
                                    : net::tcp_accepts_at(address->second, target.port, patience);
        TRY(ctx.ok());
        seen = accepted ? "" : accepted.error().message;
        return accepted.has_value();
    }
    const auto status = net::http_get_status(target.port, target.path, patience);
    if (!status) {
        TRY(ctx.ok());
        seen = "GET " + target.path + ": " + status.error().message;
        return false;
    }
    seen = "GET " + target.path + " answered " + std::to_string(*status);
    return *status >= 200 && *status < 400;
}

}    // namespace

plan::Traits DockerHealth::traits() const {
    plan::Traits traits;
    traits.owned = false;
    traits.title = "health";
    return traits;
}

Result<std::vector<std::string>> DockerHealth::list(const std::string& /*place*/,
                                                    const Context& /*ctx*/) {
    return std::vector<std::string>();
}

Result<plan::Observation> DockerHealth::observe(const plan::Ref& /*ref*/, const Context& /*ctx*/) {
    return plan::Observation();
}

Status DockerHealth::create(const plan::Ref& ref, const nlohmann::json& spec,
                            const plan::Progress& progress, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    const Target target{ref.name, spec.at("port").get<std::uint16_t>(), spec.value("path", ""),
                        spec.value("network", "")};
    std::string seen;
    std::string told;
    milliseconds pause = first_pause;
    const auto begin = std::chrono::steady_clock::now();
    while (true) {
        auto healthy = look(*engine, target, seen, ctx);
        if (healthy && *healthy) {
            return {};
        }
        if (!healthy && healthy.error().code != Code::timed_out) {
            return tl::unexpected(std::move(healthy).error());
        }
        if (seen != told && pause == longest_pause) {
            progress(seen);
            told = seen;
        }
        auto waited = wait_for(pause, ctx);
        if (!waited && waited.error().code == Code::timed_out) {
            const Context after = Context().with_timeout(std::chrono::seconds(5));
            return fail(Code::failed,
                        "it did not become healthy in time: " + seen + "\n" +
                            container_tail(*engine, target.container, tail_lines, after),
                        "in a container it must listen on 0.0.0.0 at $PORT; else raise "
                        "health.timeout, or mend what its log shows");
        }
        TRY(waited);
        const auto elapsed =
            std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
        pause = std::clamp(elapsed / promptness, first_pause, longest_pause);
    }
}

Result<plan::Removal> DockerHealth::destroy(const plan::Ref& /*ref*/, const Context& /*ctx*/) {
    return plan::Removal();
}

}    // namespace seatrial::resource
