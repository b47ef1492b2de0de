#include "resource/component.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "process/listeners.h"

namespace seatrial::resource {
namespace {

constexpr std::chrono::seconds stop_grace{10};

std::filesystem::path spec_file(const std::filesystem::path& data, const std::string& name) {
    return data / "specs" / name;
}

}    // namespace

Component::Component(process::Runner& runner, std::filesystem::path data, DatabaseUrl database_url)
    : runner_(runner), data_(std::move(data)), database_url_(std::move(database_url)) {}

plan::Traits Component::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::replace;
    traits.rank = 90;
    traits.title = "process";
    return traits;
}

Result<std::vector<std::string>> Component::list(const std::string& /*place*/,
                                                 const Context& /*ctx*/) {
    // Runs of tools have no spec here: they belong to whoever waits for them.
    TRY_ASSIGN(auto runs, runner_.list());
    std::erase_if(runs, [&](const std::string& run) {
        return ::access(spec_file(data_, run).c_str(), F_OK) != 0;
    });
    return runs;
}

Result<plan::Observation> Component::observe(const plan::Ref& ref, const Context& /*ctx*/) {
    TRY_ASSIGN(const process::RunState state, runner_.observe(ref.name));
    plan::Observation seen;
    switch (state.phase) {
        case process::RunPhase::absent: return seen;
        case process::RunPhase::starting:
            seen.presence = plan::Presence::partial;
            seen.detail = "starting";
            return seen;
        case process::RunPhase::exited:
            seen.presence = plan::Presence::partial;
            seen.detail = render_exit(state);
            return seen;
        case process::RunPhase::running: break;
    }
    auto hash = read_file(spec_file(data_, ref.name), 256);
    if (!hash && hash.error().code != Code::not_found) {
        return tl::unexpected(std::move(hash).error());
    }
    seen.presence = hash ? plan::Presence::ready : plan::Presence::partial;
    seen.spec_hash = hash.value_or("");
    seen.detail = "pid " + std::to_string(state.shim);
    return seen;
}

Status Component::create(const plan::Ref& ref, const nlohmann::json& spec,
                         const plan::Progress& /*progress*/, const Context& ctx) {
    for (const auto& port : spec.value("ports", nlohmann::json::array())) {
        const auto number = port.get<std::uint16_t>();
        TRY_ASSIGN(const auto listeners, process::listeners_of(number));
        if (!listeners.empty()) {
            const std::string owner = process::describe_owner(listeners.front());
            Error error{Code::conflict,
                        "port " + std::to_string(number) + " is taken by " +
                            (owner.empty() ? "another program" : owner),
                        "end it, or choose other ports with ports.base in the server's file",
                        "",
                        nullptr,
                        "port:" + std::to_string(number)};
            return tl::unexpected(std::move(error));
        }
    }
    TRY_ASSIGN(auto run, make_run_spec(ref.name, process::Profile::component, spec, runner_,
                                       database_url_, ctx));
    for (const auto& port : spec.value("ports", nlohmann::json::array())) {
        run.tcp_bind.push_back(port.get<int>());
    }
    TRY(make_dirs(data_ / "specs", 0700));
    // The hash goes first: a run without it is partial, and is replaced.
    TRY(write_file_atomic(spec_file(data_, ref.name), plan::spec_hash(spec), 0600));
    TRY(failpoint("process.start", "before"));
    TRY(runner_.start(run, ctx));
    return failpoint("process.start", "after");
}

Result<plan::Removal> Component::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(const process::RunState before, runner_.observe(ref.name));
    TRY(runner_.kill(ref.name, stop_grace, ctx));
    TRY(failpoint("process.stop", "killed"));
    TRY(runner_.forget(ref.name, ctx));
    if (::unlink(spec_file(data_, ref.name).c_str()) != 0 && errno != ENOENT) {
        return fail_errno("cannot remove the spec of " + ref.name, errno);
    }
    plan::Removal removal;
    removal.note = before.phase == process::RunPhase::running ? "ended" : "was not running";
    return removal;
}

}    // namespace seatrial::resource
