// What all containers of a slot have in common, whatever they run.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "docker/containers.h"
#include "release/containers.h"
#include "release/variables.h"

namespace seatrial::release {

// Variables of a slot's containers: read once for all, when the first has to be made. What it was
// made with outlives it. Thread: any.
class Given {
public:
    Given(const Content& content, const secrets::Sources& sources)
        : content_(content), sources_(sources) {}

    Result<docker::Environment> environment_of(const Component& part, const Context& ctx);

private:
    Result<Variables> read(const Context& ctx);

    const Content& content_;
    const secrets::Sources& sources_;
    std::mutex mutex_;
    std::optional<Variables> common_;
};

// The slot's network, and the volumes of its components; there already is ok.
Status ensure_network(docker::Engine& engine, const Owner& owner, const Context& ctx);
Status ensure_volumes(docker::Engine& engine, const Content& content, const Owner& owner,
                      const Context& ctx);
// Of `part`, but for names in the slot's network.
Result<docker::ContainerSpec> make_spec(const Content& content, const Component& part,
                                        const std::string& name, const Owner& owner, Given& given,
                                        const Context& ctx);
// There already is ok.
Status make_one(docker::Engine& engine, const docker::ContainerSpec& spec, const Context& ctx);
// The last lines that it wrote, for an error.
std::string log_end(docker::Engine& engine, const std::string& container, const Context& ctx);

}    // namespace seatrial::release
