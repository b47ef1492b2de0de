// A component of kind static as what builders read: a Dockerfile of ours around its files.
#pragma once

#include <map>
#include <string>

#include "config/app.h"

namespace seatrial::release {

struct StaticSource {
    std::string dockerfile;    // its path in the context
    std::string tar;           // entries that go before the context's own; no end of archive
};
// `arguments`: of the build; `run` finds them as variables.
StaticSource render_static(const config::Component& part,
                           const std::map<std::string, std::string>& arguments);

}    // namespace seatrial::release
