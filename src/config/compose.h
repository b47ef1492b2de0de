// A Compose file as plain values: what Seatrial can take over of it, and what it cannot.
// Source: the Compose specification (services: build, command, env_file, environment, healthcheck,
// image, ports, profiles, volumes). Any text; bounded as parse_yaml() is. Nothing is looked up:
// ${NAME:-default} is its default, ${NAME} is left out and said.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/app.h"
#include "config/left_out.h"

namespace seatrial::config {

struct ComposePort {
    int host = 0;    // 0: none is published
    int container = 0;
    bool operator==(const ComposePort&) const = default;
};

struct ComposeVolume {
    int line = 0;
    std::string source;    // "./keys", "/srv/keys" or a name; "" = of the container alone
    std::string target;
    bool read_only = false;
    bool is_folder() const { return source.starts_with('.') || source.starts_with('/'); }
};

struct ComposeService {
    int line = 0;
    std::string name, image;
    std::optional<Build> build;    // context and file as written, "./" taken off
    UserCommand command;
    std::vector<ComposePort> ports;    // published and exposed
    std::vector<std::string> env_files, profiles;
    std::map<std::string, std::string> environment;
    std::vector<ComposeVolume> volumes;
    std::string health;    // path of the URL that its health check asks; "" = none
    int instances = 1;
};

struct Compose {
    std::string project;    // its top-level name; "" = the folder's
    std::vector<ComposeService> services;
    std::vector<LeftOut> left_out;
    bool readable = true;    // false: no Compose file at all
};

Compose read_compose(std::string_view text, const std::string& name);

}    // namespace seatrial::config
