#include "release/static_site.h"

#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "release/content.h"

namespace seatrial::release {
namespace {

constexpr const char* folder = ".seatrial-static/";    // of the context
constexpr std::size_t block = 512;

// One file as POSIX ustar has it (IEEE Std 1003.1, pax, "ustar Interchange Format").
std::string tar_entry(const std::string& name, const std::string& content) {
    char header[block] = {};
    std::snprintf(header, 100, "%s", name.c_str());
    std::snprintf(header + 100, 8, "%07o", 0644U);
    std::snprintf(header + 108, 8, "%07o", 0U);
    std::snprintf(header + 116, 8, "%07o", 0U);
    std::snprintf(header + 124, 12, "%011zo", content.size());
    std::snprintf(header + 136, 12, "%011o", 0U);    // the epoch: builds of one commit are equal
    std::memset(header + 148, ' ', 8);
    header[156] = '0';
    std::snprintf(header + 257, 6, "ustar");
    header[263] = header[264] = '0';    // the version
    unsigned sum = 0;
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    std::snprintf(header + 148, 8, "%06o", sum);
    std::string out(header, block);
    out += content;
    out.append((block - content.size() % block) % block, '\0');
    return out;
}

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
    const int port = part.container_port > 0 ? part.container_port : default_container_port;
    const std::string path = with_slash(part.path);
    return "server {\n"
           "  listen " +
           std::to_string(port) +
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
    return {in + "Dockerfile", tar_entry(in + "Dockerfile", render_dockerfile(part, arguments)) +
                                   tar_entry(in + "nginx.conf", render_server(part))};
}

}    // namespace seatrial::release
