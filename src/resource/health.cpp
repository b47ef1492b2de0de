#include "resource/health.h"

#include <nlohmann/json.hpp>

#include "process/listeners.h"
#include "resource/await_health.h"
#include "resource/run_spec.h"

namespace seatrial::resource {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds first_pause{5};
constexpr milliseconds longest_pause{100};
constexpr int tail_lines = 12;

struct Target {
    std::string run;
    std::uint16_t port = 0;
    std::string path;
    int uid_slot = -1;
    std::string log;
};

// Is the socket that listens there held by our run? The uid tells when it has its own.
Result<bool> is_ours(const process::Runner& runner, const Target& target,
                     const process::Listener& listener) {
    if (target.uid_slot >= 0 && runner.privileged()) {
        return listener.uid == runner.uid_of(target.uid_slot);
    }
    TRY_ASSIGN(const auto pids, runner.pids(target.run));
    return process::holds_socket(pids, listener.inode);
}

// `conflict` when somebody else listens on the port; else whether our run does.
Result<bool> listens(const process::Runner& runner, const Target& target) {
    TRY_ASSIGN(const auto listeners, process::listeners_of(target.port));
    for (const auto& listener : listeners) {
        TRY_ASSIGN(const bool ours, is_ours(runner, target, listener));
        if (!ours) {
            const std::string owner = process::describe_owner(listener);
            Error error{Code::conflict,
                        "port " + std::to_string(target.port) + " is answered by " +
                            (owner.empty() ? "another program" : owner) + ", not by this preview",
                        "",
                        "",
                        nullptr,
                        "port:" + std::to_string(target.port)};
            return tl::unexpected(std::move(error));
        }
    }
    return !listeners.empty();
}

// True: healthy; false: not yet, and `seen` says why.
Result<bool> look(const process::Runner& runner, const Target& target, std::string& seen,
                  const Context& ctx) {
    TRY_ASSIGN(const process::RunState state, runner.observe(target.run));
    // The port comes first: a stranger on it is why ours ended.
    TRY_ASSIGN(const bool listening, listens(runner, target));
    if (state.phase == process::RunPhase::exited || state.phase == process::RunPhase::absent) {
        return fail(Code::failed, "it ended before it answered: " + render_exit(state) + "\n" +
                                      log_tail(target.log, tail_lines));
    }
    if (!listening) {
        seen = "nothing listens on port " + std::to_string(target.port) + " yet";
        return false;
    }
    if (target.path.empty()) {
        return true;
    }
    return answers_well(target.port, target.path, seen, ctx);
}

}    // namespace

plan::Traits Health::traits() const {
    plan::Traits traits;
    traits.owned = false;
    traits.title = "health";
    return traits;
}

Result<std::vector<std::string>> Health::list(const std::string& /*place*/,
                                              const Context& /*ctx*/) {
    return std::vector<std::string>();
}

Result<plan::Observation> Health::observe(const plan::Ref& /*ref*/, const Context& /*ctx*/) {
    return plan::Observation();
}

Status Health::create(const plan::Ref& ref, const nlohmann::json& spec,
                      const plan::Progress& progress, const Context& ctx) {
    const Target target{ref.name, spec.at("port").get<std::uint16_t>(), spec.value("path", ""),
                        spec.value("uid_slot", -1), spec.value("log", "")};
    return await_health(
        {[&](std::string& seen) { return look(runner_, target, seen, ctx); },
         [&] { return log_tail(target.log, tail_lines); },
         "raise health.timeout, or mend what its log shows", first_pause, longest_pause},
        progress, ctx);
}

Result<plan::Removal> Health::destroy(const plan::Ref& /*ref*/, const Context& /*ctx*/) {
    return plan::Removal();
}

}    // namespace seatrial::resource
