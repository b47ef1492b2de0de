#include "config/init_takeover.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/names.h"
#include "base/text.h"
#include "config/config.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

constexpr std::size_t name_limit = takeover_name_limit;

bool is_proxy(const ComposeService& service) {
    constexpr std::string_view proxies[] = {"nginx", "traefik", "haproxy", "caddy", "envoy"};
    const auto slash = service.image.find_last_of('/');
    const auto base =
        std::string_view(service.image).substr(slash == std::string::npos ? 0 : slash + 1);
    return std::ranges::any_of(proxies, [&](std::string_view proxy) {
        return service.name == proxy || (!service.build && base.starts_with(proxy));
    });
}

// "shop-staging" → "shop" and "stg", also by its profile.
std::string environment_of(const ComposeService& service, std::string& name) {
    name = service.name;
    std::string environment;
    for (const auto& profile : service.profiles) {
        environment = environment.empty() ? environment_kind(profile) : environment;
    }
    const auto end = name.find_last_of("-_");
    const auto kind = end == std::string::npos || end == 0
                          ? std::string_view{}
                          : environment_kind(std::string_view(name).substr(end + 1));
    if (!kind.empty()) {
        environment = environment.empty() ? kind : environment;
        name.resize(end);
    }
    return environment;
}

// A word as /bin/sh reads it.
std::string shell_word(const std::string& word) {
    constexpr std::string_view plain = "%+,-./:=@_";
    const bool simple = !word.empty() && std::ranges::all_of(word, [&](unsigned char c) {
        return std::isalnum(c) != 0 || plain.find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (simple) {
        return word;
    }
    std::string out = "'";
    for (const char c : word) {
        out += c == '\'' ? "'\\''" : std::string(1, c);
    }
    return out + "'";
}

std::string shell_words(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) {
        out += (out.empty() ? "" : " ") + shell_word(word);
    }
    return out;
}

// The last CMD of a Dockerfile, and its EXPOSE.
struct ImageFacts {
    std::string command;
    int port = 0;
};
ImageFacts read_dockerfile(const std::string& text) {
    ImageFacts out;
    for (const auto each : split(text, '\n')) {
        const auto line = trim(each);
        if (line.starts_with("CMD ")) {
            const std::string command(trim(line.substr(4)));
            const auto list = nlohmann::json::parse(command, nullptr, false);
            const bool texts = list.is_array() && std::ranges::all_of(list, [](const auto& word) {
                                   return word.is_string();
                               });
            out.command = texts ? shell_words(list.get<std::vector<std::string>>()) : command;
        } else if (line.starts_with("EXPOSE ")) {
            const auto rest = line.substr(7);
            const auto port = parse_integer(trim(rest.substr(0, rest.find_first_of("/ "))));
            out.port = port && *port > 0 && *port <= 65535 ? static_cast<int>(*port) : 0;
        }
    }
    return out;
}

class Parts {
public:
    explicit Parts(Takeover& all) : all_(all) {}

    void run() {
        group();
        if (all_.groups.empty()) {
            return;
        }
        read_routes();
        std::vector<Part> parts;
        for (const auto& group : all_.groups) {
            parts.push_back(make_part(group));
        }
        for (const auto& part : all_.draft.parts) {
            all_.draft.questions.push_back("component '" + part.name + "' is not in " + all_.file +
                                           " and was left out");
        }
        all_.draft.parts = std::move(parts);
        settle_paths();
        make_places(all_);
        all_.draft.notes.push_back(std::to_string(all_.groups.size()) + " components (in " +
                                   all_.file + ")");
        for (const auto& one : all_.compose.left_out) {
            all_.draft.questions.push_back(one.text(all_.file));
        }
    }

private:
    void group() {
        for (const auto& service : all_.compose.services) {
            if (!shared_service(service.image).empty()) {
                all_.shared = true;
                continue;
            }
            if (is_proxy(service)) {
                all_.proxies.push_back(&service);
                continue;
            }
            std::string name;
            const std::string environment = environment_of(service, name);
            auto found = std::ranges::find(all_.groups, name, &Group::name);
            if (found == all_.groups.end()) {
                found = all_.groups.insert(all_.groups.end(), Group{name, {}});
            }
            found->services.emplace_back(environment, &service);
            all_.names[service.name] = name;
        }
    }

    void read_routes() {
        for (const std::string_view folder : {"", "nginx", "conf", "config", "docker/nginx",
                                              "deploy/nginx", "nginx/conf.d", "docker"}) {
            const auto name = all_.repository.first_file(folder, {"nginx.conf", "default.conf"});
            const auto text =
                name.empty() ? std::nullopt : all_.repository.read(join_path(folder, name));
            if (!text) {
                continue;
            }
            all_.nginx_file = join_path(folder, name);
            all_.nginx = read_nginx(*text);
            if (!all_.nginx.fault.empty()) {
                all_.draft.questions.push_back(all_.nginx_file +
                                               " cannot be read: " + all_.nginx.fault);
                continue;
            }
            all_.draft.notes.push_back("routes (in " + all_.nginx_file + ")");
            for (const auto& one : all_.nginx.left_out) {
                all_.draft.questions.push_back(one.text(all_.nginx_file));
            }
            return;
        }
    }

    // The part that a manifest showed already, else a new one.
    Part take_part(const Group& group, const ComposeService& service) {
        const std::string folder = service.build ? service.build->context : "";
        auto known = std::ranges::find_if(all_.draft.parts, [&](const Part& part) {
            return (!folder.empty() && part.folder == folder) ||
                   slug(part.name, name_limit) == slug(group.name, name_limit);
        });
        if (known == all_.draft.parts.end() && all_.draft.parts.size() == 1 &&
            all_.groups.size() == 1) {
            known = all_.draft.parts.begin();
        }
        Part part;
        if (known != all_.draft.parts.end()) {
            part = *known;
            all_.draft.parts.erase(known);
        } else {
            part.folder = is_plain_path(folder) && all_.repository.has_folder(folder) ? folder : "";
            part.has_port = false;
        }
        part.name = group.name;
        return part;
    }

    Part make_part(const Group& group) {
        const ComposeService& service = *group.services.front().second;
        Part part = take_part(group, service);
        ImageFacts facts;
        if (service.build) {
            part.build = checked_build(service);
            const auto dockerfile =
                part.build ? all_.repository.read(join_path(part.build->context, part.build->file))
                           : std::nullopt;
            facts = read_dockerfile(dockerfile.value_or(""));
        } else {
            take_image(service, part);
        }
        for (const auto& port : service.ports) {
            part.container_port = part.container_port > 0 ? part.container_port : port.container;
        }
        for (const auto& server : all_.nginx.servers) {
            for (const auto& route : server.routes) {
                if (all_.names.contains(route.host) && all_.names.at(route.host) == group.name) {
                    part.container_port = route.port;
                }
            }
        }
        if (part.container_port == 0) {
            part.container_port = facts.port;
        }
        part.has_port = part.has_port || part.container_port > 0;
        if (part.has_port && !part.health) {
            part.health = service.health;
        }
        part.instances = service.instances;
        if (part.run.empty()) {
            part.run = service.command.argv.empty() ? service.command.text
                                                    : shell_words(service.command.argv);
        }
        if (part.run.empty()) {
            part.run = facts.command;
        }
        if (part.run.empty()) {
            part.run = "echo 'seatrial.yaml does not say yet how " + slug(group.name, name_limit) +
                       " starts' >&2; exit 1";
            all_.draft.questions.push_back("how does '" + group.name +
                                           "' start without a container? Previews on this machine "
                                           "need its command");
        }
        return part;
    }

    std::optional<Build> checked_build(const ComposeService& service) {
        Build build = *service.build;
        const bool below = build.context.empty() || is_path_below(build.context);
        if (!below || !is_path_below(build.file)) {
            all_.draft.questions.push_back(all_.file + ":" + std::to_string(service.line) + ": '" +
                                           service.name +
                                           "' is built from outside of this repository "
                                           "(" +
                                           build.context +
                                           "); give it a build of its own there, "
                                           "or `image`");
            return std::nullopt;
        }
        return build;
    }

    void take_image(const ComposeService& service, Part& part) {
        const auto colon = service.image.rfind(':');
        const bool tagged =
            colon != std::string::npos && service.image.find('/', colon) == std::string::npos;
        const auto tag = tagged ? service.image.substr(colon + 1) : std::string();
        const bool fixed = tagged && tag != "latest" && environment_kind(tag).empty();
        if (fixed || service.image.find('@') != std::string::npos) {
            part.image = service.image;
            return;
        }
        for (const std::string& folder : {part.folder, service.name, part.name}) {
            if (is_plain_path(folder) &&
                all_.repository.has_file(join_path(folder, "Dockerfile"))) {
                part.build.emplace().context = folder;
                return;
            }
        }
        all_.draft.questions.push_back(all_.file + ":" + std::to_string(service.line) +
                                       ": the image '" + service.image + "' of '" + service.name +
                                       "' moves; where is it built? Give the component `build`");
    }

    // Longest first, so that a path below another one of the same component says nothing new.
    void settle_paths() {
        std::map<std::string, std::set<std::string>> paths;    // by component
        for (const auto& server : all_.nginx.servers) {
            for (const auto& route : server.routes) {
                if (all_.names.contains(route.host)) {
                    paths[all_.names.at(route.host)].insert(route.path);
                } else {
                    all_.draft.questions.push_back(
                        all_.nginx_file + ":" + std::to_string(route.line) + ": " + route.path +
                        " leads to '" + route.host + "', which is no component");
                }
            }
        }
        std::set<std::string> taken;
        for (auto& part : all_.draft.parts) {
            if (!part.has_port) {
                continue;
            }
            const auto& own = paths[part.name];
            part.path = own.empty() ? "/" : *own.begin();    // the shortest that others begin with
            for (const auto& other : own) {
                const bool below = other.starts_with(part.path == "/" ? "/" : part.path + "/");
                if (other != part.path && !below) {
                    all_.draft.questions.push_back(all_.nginx_file + ": " + other + " leads to '" +
                                                   part.name + "', too; a component has one path");
                }
            }
            if (!taken.insert(part.path).second) {
                part.path = "/" + slug(part.name, name_limit);
                taken.insert(part.path);
                all_.draft.questions.push_back("which path does '" + part.name +
                                               "' answer for? Assumed " + part.path);
            }
        }
    }

    Takeover& all_;
};

}    // namespace

void take_over(const Repository& repository, Draft& draft) {
    const auto file = compose_file(repository);
    const auto text = file.empty() ? std::nullopt : repository.read(file);
    if (!text) {
        return;
    }
    Takeover all{repository, draft, file, read_compose(*text, file), {}, {}, {}, false, "", {}};
    if (all.compose.readable) {
        Parts(all).run();
    }
}

}    // namespace seatrial::config::init
