// Networks and volumes of an engine. What removes one looks at its label first.
// Errors and threads: docker/engine.h.
#pragma once

#include <optional>

#include "docker/engine.h"

namespace seatrial::docker {

struct Network {
    std::string id, name;
    Labels labels;
    bool internal = false;    // no way out
    std::string subnet;       // "10.1.2.0/24"
};

// The engine lets several have one name (when two ask at once): all of anybody with that name.
Result<std::vector<Network>> find_networks(Engine& engine, const std::string& name,
                                           const Context& ctx);
Result<std::vector<Network>> list_networks(Engine& engine, const Labels& labels,
                                           const Context& ctx);
// A bridge. `conflict` when the name is taken. `unavailable`: no subnet is left.
Result<std::string> create_network(Engine& engine, const std::string& name, const Labels& labels,
                                   bool internal, const Context& ctx);
// By id, of which there is one. What is connected to it is disconnected. Not there is ok.
Status remove_network(Engine& engine, const Network& network, const Context& ctx);

struct Volume {
    std::string name;
    Labels labels;
};
Result<std::optional<Volume>> find_volume(Engine& engine, const std::string& name,
                                          const Context& ctx);
Result<std::vector<Volume>> list_volumes(Engine& engine, const Labels& labels, const Context& ctx);
// One of that name that is there already, whoever's, counts as created: the engine says no more.
Status create_volume(Engine& engine, const std::string& name, const Labels& labels,
                     const Context& ctx);
// `conflict` when a container uses it. Not there is ok.
Status remove_volume(Engine& engine, const std::string& name, const Context& ctx);

}    // namespace seatrial::docker
