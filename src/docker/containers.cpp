#include "docker/containers.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

int port_in(std::string_view text) {
    int port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

std::string without_slash(const std::string& name) {
    return name.starts_with('/') ? name.substr(1) : name;
}

Container parse_container(const json& answer) {
    Container out;
    out.id = text_of(answer, "Id");
    out.name = without_slash(text_of(answer, "Name"));
    out.image_id = text_of(answer, "Image");
    out.labels = texts_of(member(answer, "Config"), "Labels");
    const json& state = member(answer, "State");
    out.state = text_of(state, "Status");
    out.health = text_of(member(state, "Health"), "Status");
    out.health = out.health == "none" ? "" : out.health;
    out.error = text_of(state, "Error");
    out.exit_code = static_cast<int>(number_of(state, "ExitCode"));
    out.out_of_memory = flag_of(state, "OOMKilled");
    out.pid = number_of(state, "Pid");
    out.started_at = text_of(state, "StartedAt");
    out.stop_signal = text_of(member(answer, "Config"), "StopSignal");
    const json& settings = member(answer, "NetworkSettings");
    for (const auto& [network, use] : member(settings, "Networks").items()) {
        out.addresses[network] = text_of(use, "IPAddress");
    }
    for (const auto& [port, bindings] : member(settings, "Ports").items()) {
        for (const json& binding : bindings) {
            out.ports[port_in(port)] = port_in(text_of(binding, "HostPort"));
        }
    }
    return out;
}

// The id of one that is ours.
Result<std::string> our_id(Engine& engine, const std::string& name, const Context& ctx) {
    TRY_ASSIGN(const Container found, inspect_container(engine, name, ctx));
    TRY(check_ours(engine, found.labels, "container " + name));
    return found.id;
}

Status act(Engine& engine, const std::string& name, const std::string& action,
           const net::Pairs& query, const Context& ctx) {
    TRY_ASSIGN(const std::string id, our_id(engine, name, ctx));
    TRY(engine.call({.method = "POST", .path = "/containers/" + id + "/" + action, .query = query},
                    ctx));
    return {};
}

json environment_list(const Environment& environment) {
    json list = json::array();
    for (const auto& [name, value] : environment) {
        list.push_back(name + "=" + value.reveal());
    }
    return list;
}

// Hands over at most `limit` bytes. `stop_there`: more is not even read.
FrameReader::OnText capped(const FrameReader::OnText& on_text, std::int64_t limit,
                           bool stop_there) {
    return [&on_text, left = limit, stop_there](Stream stream, std::string_view text) mutable {
        const auto part = text.substr(0, static_cast<std::size_t>(left));
        left -= static_cast<std::int64_t>(part.size());
        if (!part.empty() && !on_text(stream, part)) {
            return false;
        }
        return left > 0 || !stop_there;
    };
}

Status stream_frames(Engine& engine, const Call& call, const FrameReader::OnText& on_text,
                     const Context& ctx) {
    FrameReader frames;
    Status outcome;
    const auto feed = [&](std::string_view bytes) {
        const auto fed = frames.feed(bytes, on_text);
        if (!fed) {
            outcome = tl::unexpected(fed.error());
        }
        return fed && *fed;
    };
    TRY(engine.stream(call, feed, ctx));
    return outcome;
}

}    // namespace

Result<Container> inspect_container(Engine& engine, const std::string& name, const Context& ctx) {
    TRY(check_name(name));
    TRY_ASSIGN(const json answer, engine.call({.path = "/containers/" + name + "/json"}, ctx));
    return parse_container(answer);
}

Result<std::vector<Container>> list_containers(Engine& engine, const Labels& labels,
                                               const Context& ctx) {
    TRY_ASSIGN(const json answer,
               engine.call({.path = "/containers/json",
                            .query = {{"all", "1"}, {"filters", engine.our_filter(labels)}}},
                           ctx));
    std::vector<Container> out;
    for (const json& one : answer) {
        Container container;
        container.id = text_of(one, "Id");
        container.image_id = text_of(one, "ImageID");
        container.labels = texts_of(one, "Labels");
        container.state = text_of(one, "State");
        const json& names = member(one, "Names");
        if (names.is_array() && !names.empty() && names[0].is_string()) {
            container.name = without_slash(names[0].get<std::string>());
        }
        out.push_back(std::move(container));
    }
    return out;
}

Status start_container(Engine& engine, const std::string& name, const Context& ctx) {
    return act(engine, name, "start", {}, ctx);
}

Status stop_container(Engine& engine, const std::string& name,
                      std::optional<std::chrono::seconds> grace, const Context& ctx) {
    net::Pairs query;
    if (grace) {
        query.emplace_back("t", std::to_string(grace->count()));
    }
    return act(engine, name, "stop", query, ctx);
}

Status kill_container(Engine& engine, const std::string& name, const std::string& signal,
                      const Context& ctx) {
    return act(engine, name, "kill", {{"signal", signal}}, ctx);
}

Status remove_container(Engine& engine, const std::string& name, const Context& ctx) {
    const auto id = our_id(engine, name, ctx);
    if (!id) {
        return id.error().code == Code::not_found ? Status() : tl::unexpected(id.error());
    }
    const auto removed = engine.call(
        {.method = "DELETE", .path = "/containers/" + *id, .query = {{"force", "1"}, {"v", "1"}}},
        ctx);
    if (removed || removed.error().code == Code::not_found) {
        return {};
    }
    if (removed.error().message.find("already in progress") == std::string::npos) {
        return tl::unexpected(removed.error());
    }
    // By somebody who was asked before: wait for that one.
    const auto gone = engine.call({.method = "POST",
                                   .path = "/containers/" + *id + "/wait",
                                   .query = {{"condition", "removed"}}},
                                  ctx);
    if (gone || gone.error().code == Code::not_found) {
        return {};
    }
    return tl::unexpected(gone.error());
}

Result<int> wait_container(Engine& engine, const std::string& name, const Context& ctx) {
    TRY_ASSIGN(const std::string id, our_id(engine, name, ctx));
    TRY_ASSIGN(const json answer, engine.call({.method = "POST",
                                               .path = "/containers/" + id + "/wait",
                                               .query = {{"condition", "not-running"}}},
                                              ctx));
    return static_cast<int>(number_of(answer, "StatusCode"));
}

Status read_logs(Engine& engine, const std::string& name, const LogOptions& options,
                 const FrameReader::OnText& on_text, const Context& ctx) {
    TRY_ASSIGN(const std::string id, our_id(engine, name, ctx));
    net::Pairs query = {{"stdout", "1"},
                        {"stderr", "1"},
                        {"follow", options.follow ? "1" : "0"},
                        {"timestamps", options.timestamps ? "1" : "0"},
                        {"tail", options.tail < 0 ? "all" : std::to_string(options.tail)}};
    if (!options.since.empty()) {
        query.emplace_back("since", options.since);
    }
    return stream_frames(engine, {.path = "/containers/" + id + "/logs", .query = std::move(query)},
                         capped(on_text, options.limit_bytes, true), ctx);
}

Result<int> exec_in_container(Engine& engine, const std::string& name, const ExecSpec& spec,
                              const FrameReader::OnText& on_text, const Context& ctx) {
    TRY_ASSIGN(const std::string id, our_id(engine, name, ctx));
    const json wanted = {{"Cmd", spec.argv},     {"Env", environment_list(spec.environment)},
                         {"User", spec.user},    {"WorkingDir", spec.cwd},
                         {"AttachStdout", true}, {"AttachStderr", true}};
    TRY_ASSIGN(
        const json made,
        engine.call(
            {.method = "POST", .path = "/containers/" + id + "/exec", .body = wanted.dump()}, ctx));
    const std::string path = "/exec/" + escape(text_of(made, "Id"));
    TRY(stream_frames(engine,
                      {.method = "POST", .path = path + "/start", .body = R"({"Detach":false})"},
                      capped(on_text, spec.limit_bytes, false), ctx));
    TRY_ASSIGN(const json seen, engine.call({.path = path + "/json"}, ctx));
    if (flag_of(seen, "Running")) {
        return fail(Code::failed, "the command went on after its output was closed");
    }
    return static_cast<int>(number_of(seen, "ExitCode"));
}

}    // namespace seatrial::docker
