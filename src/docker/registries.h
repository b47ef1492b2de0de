// Logins of registries: only ever sent to the engine, or written where a build alone reads them.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"

namespace seatrial::docker {

struct RegistryLogin {
    std::string server, user;    // "registry.example.com:5000"; Docker Hub is "docker.io"
    Secret password;
};
using Logins = std::vector<RegistryLogin>;

// Where an image comes from: "docker.io" when its name begins with no host.
std::string registry_of(const std::string& image);
// Null when there is none.
const RegistryLogin* login_for(const Logins& logins, const std::string& image);

// Of the header X-Registry-Config, for the classic builder.
Secret registry_config(const Logins& logins);
// Of a docker CLI's config.json.
Secret cli_config(const Logins& logins);

}    // namespace seatrial::docker
