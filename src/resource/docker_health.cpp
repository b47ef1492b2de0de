#include "resource/docker_health.h"

#include <nlohmann/json.hpp>

#include "net/probe.h"
#include "resource/await_health.h"
#include "resource/docker_container.h"

namespace seatrial::resource {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{250};
constexpr auto last_words = std::chrono::seconds(5);
constexpr int tail_lines = 12;

struct Target {
    std::string container;
    std::uint16_t port = 0;      // on this host
    std::uint16_t inside = 0;    // in the container
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
    if (target.path.empty()) {
        const Context patience = ctx.with_timeout(std::chrono::seconds(5));
        // The engine accepts at the published port, whoever listens behind it: ask inside.
        const auto address = container.addresses.find(target.network);
        const Status accepted = address == container.addresses.end()
                                    ? fail(Code::unavailable, "the container has no address yet")
                                    : net::tcp_accepts_at(address->second, target.inside, patience);
        TRY(ctx.ok());
        seen = accepted ? "" : accepted.error().message;
        return accepted.has_value();
    }
    return answers_well(target.port, target.path, seen, ctx);
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
    const auto port = spec.at("port").get<std::uint16_t>();
    const Target target{ref.name, port, spec.value("inside", port), spec.value("path", ""),
                        spec.value("network", "")};
    return await_health({[&](std::string& seen) { return look(*engine, target, seen, ctx); },
                         [&] {
                             return container_tail(*engine, target.container, tail_lines,
                                                   Context().with_timeout(last_words));
                         },
                         "in a container it must listen on 0.0.0.0 at $PORT; else raise "
                         "health.timeout, or mend what its log shows",
                         first_pause, longest_pause},
                        progress, ctx);
}

Result<plan::Removal> DockerHealth::destroy(const plan::Ref& /*ref*/, const Context& /*ctx*/) {
    return plan::Removal();
}

}    // namespace seatrial::resource
