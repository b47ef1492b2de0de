// Which components can live beside which: `release.compatibility` held against versions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "git/mirror.h"
#include "release/deployment.h"

namespace seatrial::release {

using Versions = std::map<std::string, std::string>;    // by component

// Those of the commit's components: what the folder that it is built from says, or the tag of its
// image, else `whole`, the release's.
Versions versions_of(const git::Mirror& mirror, const std::string& commit,
                     const std::vector<const config::Component*>& parts, const std::string& whole,
                     const Context& ctx);
// Of "registry/name:1.4.0-alpine"; "" when it tells none.
std::string version_of_image(std::string_view image);

// `invalid` when two components of one release do not fit each other.
Status check_own(const Versions& versions, const config::Compatibility& rules);
// `refused` when one of `wanted` cannot live beside one of a release that users or jobs are on. The
// rules of both count.
Status check_beside(const Content& wanted, const Standing& standing, const std::string& env);

}    // namespace seatrial::release
