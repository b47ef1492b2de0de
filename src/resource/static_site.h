// A component of kind static as what builders read: a Dockerfile of ours around its files.
#pragma once

#include <map>
#include <string>

#include "config/component.h"

namespace seatrial::resource {

// Inside a container, unless the component says another; each container has an address of its own,
// so all may have the same.
inline constexpr int default_container_port = 8080;
inline int container_port_of(const config::Component& part) {
    return part.container_port > 0 ? part.container_port : default_container_port;
}

struct StaticSource {
    std::string dockerfile;                      // its path in the context
    std::map<std::string, std::string> files;    // to be put into the context, by path
};
// Of a component with a `site`. `arguments`: of the build; `run` finds them as variables.
StaticSource render_static(const config::Component& part,
                           const std::map<std::string, std::string>& arguments);

}    // namespace seatrial::resource
