#include "config/init_draft.h"

namespace seatrial::config::init {
namespace {

std::string render_place(const Place& place) {
    std::string out = "  " + place.name + ":\n";
    if (!place.env.empty()) {
        out += "    env:\n";
        for (const auto& [name, value] : place.env) {
            out += "      " + name + ": " + yaml_text(value) + "\n";
        }
    }
    out += "    release:\n      listen: [";
    for (const int port : place.ports) {
        out += (port == place.ports.front() ? "\"" : ", \"") + std::to_string(port) + "\"";
    }
    out += "]\n";
    if (!place.env_files.empty()) {
        out += "      env_files:\n";
        for (const auto& file : place.env_files) {
            out += "        - " + yaml_text(file) + "\n";
        }
    }
    if (!place.keys.empty()) {
        out += "      key_files:\n";
        for (const auto& key : place.keys) {
            out += "        " + key.name + ": { file: " + yaml_text(key.file, true) +
                   ", target: " + yaml_text(key.target, true) + " }\n";
        }
    }
    if (!place.volumes.empty()) {
        out += "      volumes:\n";
        for (const auto& volume : place.volumes) {
            out += "        " + volume.name + ": " +
                   (volume.read_only
                        ? "{ source: " + yaml_text(volume.source, true) + ", read_only: true }"
                        : yaml_text(volume.source)) +
                   "\n";
        }
    }
    if (!place.network.empty()) {
        out +=
            "      # The services that stay with Compose (the database, the queue) are there.\n"
            "      networks: [" +
            yaml_text(place.network, true) + "]\n";
    }
    return out;
}

}    // namespace

std::string render_server(const Draft& draft) {
    if (draft.places.empty()) {
        return {};
    }
    std::string out =
        "# The server's part: where releases run, and what they get there. It belongs to the "
        "server,\n"
        "# not into the repository: seatrial serve --config FILE\nenvironments:\n";
    for (const auto& place : draft.places) {
        out += render_place(place);
    }
    return out;
}

}    // namespace seatrial::config::init
