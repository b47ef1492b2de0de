#include "docker/networks.h"

#include <nlohmann/json.hpp>

#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

Network parse_network(const json& one) {
    Network network{text_of(one, "Id"), text_of(one, "Name"), texts_of(one, "Labels"),
                    flag_of(one, "Internal"), ""};
    for (const json& range : member(member(one, "IPAM"), "Config")) {
        network.subnet = text_of(range, "Subnet");
    }
    return network;
}

Status ok_if_gone(const Result<json>& answer) {
    if (answer || answer.error().code == Code::not_found) {
        return {};
    }
    return tl::unexpected(answer.error());
}

// Errors of the engine that mean "later", by what it says.
Error later_if(Error error, std::string_view sign) {
    if (error.message.find(sign) != std::string::npos) {
        error.code = Code::unavailable;
        error.hint =
            "remove networks that nobody uses, or give the engine more "
            "default-address-pools";
    }
    return error;
}

}    // namespace

Result<std::vector<Network>> find_networks(Engine& engine, const std::string& name,
                                           const Context& ctx) {
    TRY(check_name(name));
    TRY_ASSIGN(const json answer,
               engine.call({.path = "/networks",
                            .query = {{"filters", json{{"name", json::array({name})}}.dump()}}},
                           ctx));
    std::vector<Network> out;
    for (const json& one : answer) {
        if (text_of(one, "Name") == name) {    // the filter also matches parts
            out.push_back(parse_network(one));
        }
    }
    return out;
}

Result<std::vector<Network>> list_networks(Engine& engine, const Labels& labels,
                                           const Context& ctx) {
    TRY_ASSIGN(
        const json answer,
        engine.call({.path = "/networks", .query = {{"filters", engine.our_filter(labels)}}}, ctx));
    std::vector<Network> out;
    for (const json& one : answer) {
        out.push_back(parse_network(one));
    }
    return out;
}

Result<std::string> create_network(Engine& engine, const std::string& name, const Labels& labels,
                                   bool internal, const Context& ctx) {
    TRY(check_name(name));
    const json wanted = {{"Name", name},
                         {"CheckDuplicate", true},
                         {"Driver", "bridge"},
                         {"Internal", internal},
                         {"Labels", engine.marked(labels)}};
    const auto made =
        engine.call({.method = "POST", .path = "/networks/create", .body = wanted.dump()}, ctx);
    if (!made) {
        return tl::unexpected(later_if(made.error(), "non-overlapping"));
    }
    return text_of(*made, "Id");
}

Status remove_network(Engine& engine, const Network& network, const Context& ctx) {
    TRY(check_name(network.id));
    TRY(check_ours(engine, network.labels, "network " + network.name));
    const auto seen = engine.call({.path = "/networks/" + network.id}, ctx);
    if (!seen) {
        return ok_if_gone(seen);
    }
    for (const auto& [container, use] : member(*seen, "Containers").items()) {
        const json leave = {{"Container", container}, {"Force", true}};
        TRY(ok_if_gone(engine.call({.method = "POST",
                                    .path = "/networks/" + network.id + "/disconnect",
                                    .body = leave.dump()},
                                   ctx)));
    }
    return ok_if_gone(engine.call({.method = "DELETE", .path = "/networks/" + network.id}, ctx));
}

Result<std::optional<Volume>> find_volume(Engine& engine, const std::string& name,
                                          const Context& ctx) {
    TRY(check_name(name));
    const auto answer = engine.call({.path = "/volumes/" + name}, ctx);
    if (!answer && answer.error().code == Code::not_found) {
        return std::optional<Volume>();
    }
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    return std::optional(Volume{text_of(*answer, "Name"), texts_of(*answer, "Labels")});
}

Result<std::vector<Volume>> list_volumes(Engine& engine, const Labels& labels, const Context& ctx) {
    TRY_ASSIGN(
        const json answer,
        engine.call({.path = "/volumes", .query = {{"filters", engine.our_filter(labels)}}}, ctx));
    std::vector<Volume> out;
    for (const json& one : member(answer, "Volumes")) {
        out.push_back({text_of(one, "Name"), texts_of(one, "Labels")});
    }
    return out;
}

Status create_volume(Engine& engine, const std::string& name, const Labels& labels,
                     const Context& ctx) {
    TRY(check_name(name));
    const json wanted = {{"Name", name}, {"Labels", engine.marked(labels)}};
    TRY(engine.call({.method = "POST", .path = "/volumes/create", .body = wanted.dump()}, ctx));
    return {};
}

Status remove_volume(Engine& engine, const std::string& name, const Context& ctx) {
    TRY_ASSIGN(const auto volume, find_volume(engine, name, ctx));
    if (!volume) {
        return {};
    }
    TRY(check_ours(engine, volume->labels, "volume " + name));
    return ok_if_gone(engine.call({.method = "DELETE", .path = "/volumes/" + name}, ctx));
}

}    // namespace seatrial::docker
