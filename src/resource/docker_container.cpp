#include "resource/docker_container.h"

#include <nlohmann/json.hpp>

#include "base/failpoint.h"
#include "base/text.h"
#include "log/log.h"
#include "process/listeners.h"
#include "resource/container_log.h"
#include "resource/docker_image.h"

namespace seatrial::resource {
namespace {

using nlohmann::json;

constexpr std::size_t tail_window = 64 << 10;
constexpr int default_grace = 10;    // seconds

tl::unexpected<Error> foreign(const std::string& name) {
    return fail(Code::conflict, "container " + name + " is not ours");
}

void read_mounts(const json& spec, docker::ContainerSpec& out) {
    for (const auto& mount : spec.value("mounts", json::array())) {
        out.mounts.push_back({.volume = mount.value("volume", ""),
                              .folder = mount.value("folder", ""),
                              .target = mount.at("target").get<std::string>(),
                              .read_only = mount.value("read_only", false)});
    }
    for (const auto& target : spec.value("scratch", json::array())) {
        out.mounts.push_back({.target = target.get<std::string>()});
    }
}

tl::unexpected<Error> port_taken(int port, const std::string& by) {
    Error error{
        Code::conflict,
        "port " + std::to_string(port) + " is taken by " + (by.empty() ? "another program" : by),
        "end it, or choose other ports with ports.base in the server's file",
        "",
        nullptr,
        "port:" + std::to_string(port)};
    return tl::unexpected(std::move(error));
}

// With a proxy of the engine's in front a stranger would take the answers unnoticed.
Status check_ports(const json& spec) {
    for (const auto& port : spec.value("ports", json::array())) {
        const int number = port.value("host", 0);
        if (number == 0) {
            continue;
        }
        TRY_ASSIGN(const auto listeners, process::listeners_of(static_cast<std::uint16_t>(number)));
        if (!listeners.empty()) {
            return port_taken(number, process::describe_owner(listeners.front()));
        }
    }
    return {};
}

// A part of a path from a label: whoever may use the engine may write labels.
bool is_file_name(const std::string& text) {
    return !text.empty() && text.front() != '.' && text.find('/') == std::string::npos &&
           text.size() < 128;
}

// Names of variables that make_environment() adds from this machine.
bool is_of_this_machine(std::string_view name) {
    return name == "PATH" || name == "LANG" || name == "LC_ALL" || name == "TZ" || name == "HOME" ||
           name == "TMPDIR";
}

Result<docker::Environment> read_environment(const json& spec, const DatabaseUrl& database_url,
                                             const Context& ctx) {
    const json wanted = spec.value("environment", json::object());
    TRY_ASSIGN(const auto lines, make_environment(wanted, "/", database_url, ctx));
    const json set = wanted.value("set", json::object());
    const json templates = wanted.value("templates", json::object());
    docker::Environment environment;
    for (const auto& line : lines) {
        const auto equals = line.find('=');
        const std::string name = line.substr(0, equals);
        // The image knows its own paths; ours would be wrong in there.
        if (!is_of_this_machine(name) || set.contains(name) || templates.contains(name)) {
            environment[name] = Secret(line.substr(equals + 1));
        }
    }
    return environment;
}

}    // namespace

plan::Traits DockerContainer::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::replace;
    traits.rank = kind_ == Kind::task ? 80 : 90;
    traits.title = kind_ == Kind::task ? "task" : "container";
    return traits;
}

Result<std::vector<std::string>> DockerContainer::list(const std::string& place,
                                                       const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_at(place));
    TRY_ASSIGN(
        const auto containers,
        docker::list_containers(*engine, {{std::string(type_label), std::string(name())}}, ctx));
    std::vector<std::string> names;
    for (const auto& container : containers) {
        names.push_back(container.name);
    }
    return names;
}

Result<plan::Observation> DockerContainer::look(docker::Engine& engine, const std::string& name,
                                                const Context& ctx) const {
    const auto found = docker::inspect_container(engine, name, ctx);
    if (!found && found.error().code == Code::not_found) {
        return plan::Observation();
    }
    if (!found) {
        return tl::unexpected(found.error());
    }
    plan::Observation seen = judge_labels(engine, found->labels);
    if (seen.presence == plan::Presence::foreign) {
        return seen;
    }
    const bool done = kind_ == Kind::task ? found->state == "exited" && found->exit_code == 0
                                          : found->state == "running";
    seen.presence = done ? plan::Presence::ready : plan::Presence::partial;
    const bool ended = found->state == "exited" || found->state == "dead";
    seen.detail = ended ? render_end(*found) : found->state;
    return seen;
}

Result<plan::Observation> DockerContainer::observe(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    return look(*engine, ref.name, ctx);
}

Result<docker::ContainerSpec> DockerContainer::make_spec(const plan::Ref& ref, const json& spec,
                                                         const Context& ctx) const {
    docker::ContainerSpec out;
    out.name = ref.name;
    const std::string image = spec.at("image").get<std::string>();
    out.image = spec.value("foreign_image", false) ? image : image_name(image);
    out.argv = spec.value("argv", std::vector<std::string>());
    out.keep_entrypoint = out.argv.empty();
    TRY_ASSIGN(out.environment, read_environment(spec, database_url_, ctx));
    out.user = spec.value("user", "");
    out.cwd = spec.value("cwd", "");
    out.labels = labels_for(spec);
    out.labels[std::string(type_label)] = name();
    if (const std::string log = spec.value("log", ""); !log.empty()) {
        out.labels[std::string(log_label)] = log;
    }
    const json limits = spec.value("limits", json::object());
    out.memory_bytes = limits.value("memory", std::int64_t{0});
    out.cpu_percent = limits.value("cpu", 0);
    out.pids = limits.value("pids", 0);
    out.read_only_root = spec.value("read_only", false);
    read_mounts(spec, out);
    for (const auto& port : spec.value("ports", json::array())) {
        out.ports.push_back(
            {.container = port.at("container").get<int>(), .host = port.value("host", 0)});
    }
    const std::string network = spec.value("network", "");
    if (!network.empty()) {
        out.networks = {{network, spec.value("aliases", std::vector<std::string>())}};
    }
    out.hosts = spec.value("hosts", std::map<std::string, std::string>());
    out.stop_grace = std::chrono::seconds(spec.value("grace", default_grace));
    out.log_bytes = spec.value("log_bytes", out.log_bytes);
    return out;
}

Status DockerContainer::create(const plan::Ref& ref, const json& spec,
                               const plan::Progress& /*progress*/, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(auto seen, look(*engine, ref.name, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    const std::string prefix = std::string(name()) + ".create";
    const bool same = seen.spec_hash == plan::spec_hash(spec);
    if (seen.presence == plan::Presence::ready && same) {
        return {};
    }
    // What ran and ended, or was made from something else, is made anew: its output and its file
    // system are of the last time.
    if (seen.presence != plan::Presence::absent && (!same || seen.detail != "created")) {
        TRY(remove(*engine, ref.name, ctx));
        TRY(failpoint(prefix, "cleared"));
        seen = {};
    }
    if (seen.presence == plan::Presence::absent) {
        TRY_ASSIGN(const auto wanted, make_spec(ref, spec, ctx));
        TRY(failpoint(prefix, "before"));
        const auto made = docker::create_container(*engine, wanted, ctx);
        if (!made && made.error().code == Code::not_found) {
            // Image or network went just now: their nodes make them again.
            Error error = made.error();
            error.code = Code::unavailable;
            return tl::unexpected(std::move(error));
        }
        TRY(made);
    }
    TRY(failpoint(prefix, "created"));
    TRY(check_ports(spec));
    if (auto started = docker::start_container(*engine, ref.name, ctx); !started) {
        Error error = std::move(started).error();
        if (error.field.starts_with("port:")) {
            error.mark = error.field;
        }
        return tl::unexpected(std::move(error));
    }
    TRY(failpoint(prefix, "started"));
    return kind_ == Kind::task ? finish(*engine, ref, ctx) : Status();
}

Status DockerContainer::finish(docker::Engine& engine, const plan::Ref& ref,
                               const Context& ctx) const {
    const auto code = docker::wait_container(engine, ref.name, ctx);
    if (!code) {
        return tl::unexpected(code.error());
    }
    TRY(failpoint("docker-task.create", "ended"));
    if (*code == 0) {
        return {};
    }
    TRY_ASSIGN(const auto ended, docker::inspect_container(engine, ref.name, ctx));
    return fail(Code::failed, render_end(ended) + "\n" + container_tail(engine, ref.name, 12, ctx));
}

Result<plan::Removal> DockerContainer::destroy(const plan::Ref& ref, const Context& ctx) {
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
    const std::string prefix = std::string(name()) + ".destroy";
    TRY(failpoint(prefix, "before"));
    TRY(docker::stop_container(*engine, ref.name, std::nullopt, ctx));
    TRY(failpoint(prefix, "stopped"));
    TRY(remove(*engine, ref.name, ctx));
    TRY(failpoint(prefix, "after"));
    removal.note = kind_ == Kind::component && seen.presence == plan::Presence::ready
                       ? "ended"
                       : "was not running";
    return removal;
}

// Its last words first: nobody could read them afterwards.
Status DockerContainer::remove(docker::Engine& engine, const std::string& name,
                               const Context& ctx) const {
    const auto found_container = docker::inspect_container(engine, name, ctx);
    if (!found_container) {
        return found_container.error().code == Code::not_found
                   ? Status()
                   : tl::unexpected(found_container.error());
    }
    const docker::Container& container = *found_container;
    const auto label = [&](std::string_view key) {
        const auto found = container.labels.find(std::string(key));
        return found == container.labels.end() ? std::string() : found->second;
    };
    const std::string life = label(life_label);
    const std::string file = label(log_label);
    if (!logs_.empty() && is_file_name(life) && is_file_name(file)) {
        const auto copied =
            copy_container_log(engine, name, {.file = logs_ / life / (file + ".log")}, ctx);
        TRY(ctx.ok());
        if (!copied) {    // a full disk must not keep it from being removed
            log::warn("the last output of a container is lost", copied.error(), {{"name", name}});
        }
    }
    return docker::remove_container(engine, container.id, ctx);
}

std::string render_end(const docker::Container& container) {
    if (!container.error.empty()) {
        return "it could not start: " + printable(container.error);
    }
    if (container.exit_code > 128) {
        return "killed by signal " + std::to_string(container.exit_code - 128) +
               (container.out_of_memory ? " (out of memory)" : "");
    }
    return "exit code " + std::to_string(container.exit_code);
}

std::string container_tail(docker::Engine& engine, const std::string& name, int lines,
                           const Context& ctx) {
    std::string text;
    const Status read = docker::read_logs(
        engine, name, {.tail = lines, .limit_bytes = tail_window},
        [&](docker::Stream, std::string_view part) {
            text += part;
            return true;
        },
        ctx);
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return read ? printable(text, true) : "";
}

}    // namespace seatrial::resource
