// Tags of images that tell where a release is: "<repository>:<env>" serves there, and
// "<repository>:<env>-rollback" (of `production`: ":rollback") is what a rollback brings back. They
// follow from the records alone: whoever died in between, the next call puts them right.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "docker/engine.h"
#include "release/deployed.h"

namespace seatrial::release {

struct Pointers {
    std::map<std::string, std::string> wanted;    // "repository:tag" → image id
    std::set<std::string> names;                  // all that are pointers, wanted or not
};
Pointers make_pointers(const std::vector<Deployed>& deployments);    // pure

// Only images with our label get or lose one. Errors: the engine's, the records'.
Status move_pointers(store::Records& records, docker::Engine& engine, const Context& ctx);

}    // namespace seatrial::release
