#include "resource/static_site.h"

#include <nlohmann/json.hpp>
#include <vector>

namespace seatrial::resource {
namespace {

constexpr const char* folder = ".seatrial-static/";    // of the context

std::string json_list(const std::vector<std::string>& words) {
    return nlohmann::json(words).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string with_slash(const std::string& path) {
    return path.ends_with('/') ? path : path + "/";
}

std::string render_dockerfile(const config::Component& part,
                              const std::map<std::string, std::string>& arguments) {
    const config::StaticSite& site = *part.site;
    const std::string files = site.folder.empty() ? "." : site.folder + "/";
    const std::string served = "/usr/share/nginx/html" + with_slash(part.path);
    std::string out;
    std::string copy = "COPY " + json_list({files, served});
    if (!site.run.empty()) {
        out = "FROM " + site.image + " AS build\nWORKDIR /src\nCOPY . .\n";
        for (const auto& [name, value] : arguments) {
            out += "ARG " + name + "\n";
        }
        out += "RUN " + json_list(site.run.to_argv()) + "\n";
        copy = "COPY --from=build " + json_list({"/src/" + files, served});
    }
    return out + "FROM " + site.server + "\nCOPY " + folder +
           "nginx.conf /etc/nginx/conf.d/default.conf\n" + copy + "\n";
}

// Paths without an extension are the app's own; a file that is not there is none (a page that was
// loaded before the switch may still ask for one of the release before).
std::string render_server(const config::Component& part) {
    const std::string path = with_slash(part.path);
    return "server {\n"
           "  listen " +
           std::to_string(container_port_of(part)) +
           ";\n"
           "  root /usr/share/nginx/html;\n"
           "  absolute_redirect off;\n"
           "  gzip on;\n"
           "  gzip_types text/css text/plain application/javascript application/json "
           "image/svg+xml;\n"
           "  add_header Cache-Control no-cache;\n"
           "  location " +
           path + " { try_files $uri $uri/index.html " + path +
           "index.html; }\n"
           "  location ~ \\.[A-Za-z0-9]+$ { try_files $uri =404; }\n"
           "}\n";
}

}    // namespace

StaticSource render_static(const config::Component& part,
                           const std::map<std::string, std::string>& arguments) {
    const std::string in(folder);
    return {in + "Dockerfile",
            {{in + "Dockerfile", render_dockerfile(part, arguments)},
             {in + "nginx.conf", render_server(part)}}};
}

}    // namespace seatrial::resource
