#include <algorithm>
#include <cctype>
#include <utility>

#include "config/component_reader.h"
#include "config/read.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

bool is_image_name(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("._/:@-").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

}    // namespace

Component read_component(const Node& node) {
    Component out;
    out.name = node.key;
    read(node, "run", out.run);
    read(node, "port", out.port);
    read(node, "base_port", out.base_port);
    read(node, "container_port", out.container_port);
    if (const Node* site = node.find("static")) {
        auto& made = out.site.emplace();
        read_path(*site, "context", made.context);
        read_path(*site, "folder", made.folder);
        read(*site, "run", made.run);
        read(*site, "image", made.image);
        read(*site, "server", made.server);
    }
    read(node, "volumes", out.volumes);
    read_path(node, "cwd", out.cwd);
    read(node, "env", out.env);
    read(node, "path", out.path);
    if (const Node* build = node.find("build")) {
        out.build.emplace();
        read_path(*build, "context", out.build->context);
        read_path(*build, "file", out.build->file);
        read(*build, "target", out.build->target);
        read(*build, "args", out.build->args);
    }
    read(node, "image", out.image);
    read(node, "instances", out.instances);
    if (const Node* health = node.find("health")) {
        out.health.emplace();
        read(*health, "path", out.health->path);
        read(*health, "timeout", out.health->timeout);
    }
    return out;
}

// A tag that moves would make a release another one the day after.
std::string image_problem(std::string_view image) {
    if (image.empty() || image.find('@') != std::string_view::npos) {
        return "";
    }
    const std::string_view last = image.substr(image.rfind('/') + 1);
    const std::size_t colon = last.find(':');
    if (colon == std::string_view::npos || last.substr(colon + 1) == "latest") {
        return "'" + excerpt(std::string(image)) + "' has no fixed version";
    }
    return "";
}

void check_site(Source& source, const Component& component) {
    const std::string_view name = component.name;
    const StaticSite& site = *component.site;
    if (component.build || !component.image.empty()) {
        source.fault({"components", name, "static"}, "it has a build or an image as well",
                     "keep one of them");
    }
    if (component.port.empty()) {
        source.fault({"components", name, "static"}, "what is served needs a port",
                     "add port: " + variable_prefix(name) + "_PORT");
    }
    if (site.run.empty() != site.image.empty()) {
        source.fault({"components", name, "static"},
                     site.run.empty() ? "it has an image to build in, but no command"
                                      : "its command needs an image to run in",
                     "give both `run` and `image`, or none of them");
    }
    for (const auto& [key, image] : {std::pair("image", site.image), {"server", site.server}}) {
        const std::string problem =
            is_image_name(image) ? image_problem(image) : "it is no name of an image";
        if (!problem.empty()) {
            source.fault({"components", name, "static", key}, problem,
                         "name a tag or a digest: node:20.18-alpine");
        }
    }
    if (!is_image_name(component.path)) {
        source.fault({"components", name, "path"}, "a static site's path is made of plain letters",
                     "use letters, digits and ._/:@- only");
    }
}

}    // namespace seatrial::config
