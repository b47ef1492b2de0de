// The environments of a Compose file: profiles, or the ends of names (shop-staging).
#include <algorithm>
#include <filesystem>
#include <set>

#include "base/names.h"
#include "base/text.h"
#include "config/config.h"
#include "config/init_takeover.h"
#include "config/secret_text.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

constexpr std::size_t name_limit = takeover_name_limit;
constexpr std::size_t key_limit = 50;

// Of the documents: staging and production side by side on one server.
constexpr int staging_port = 4400;
constexpr int production_port = 4500;

class Places {
public:
    explicit Places(Takeover& all) : all_(all) {}

    void run() {
        std::set<std::string> kinds;
        for (const auto& group : all_.groups) {
            for (const auto& [environment, service] : group.services) {
                if (environment == "stg" || environment == "prd") {
                    kinds.insert(environment);
                }
            }
        }
        if (kinds.empty()) {
            kinds = {"stg", "prd"};
            all_.draft.questions.push_back(all_.file +
                                           " does not tell staging and production apart: both "
                                           "were given the same files and volumes");
        }
        std::set<int> taken;
        for (const std::string kind : {"stg", "prd"}) {
            if (!kinds.contains(kind)) {
                continue;
            }
            Place place;
            place.name = kind;
            place.ports = ports_of(kind);
            for (int& port : place.ports) {
                if (!taken.insert(port).second) {
                    all_.draft.questions.push_back("staging and production share port " +
                                                   std::to_string(port) + ", by their names; " +
                                                   kind + " was given " +
                                                   std::to_string(usual_port(kind)));
                    port = usual_port(kind);
                    taken.insert(port);
                }
            }
            fill(place);
            all_.draft.places.push_back(std::move(place));
        }
        settle_environment();
    }

private:
    bool serves(const std::string& kind, const std::string& environment) const {
        return environment.empty() || environment == kind;
    }

    static int usual_port(const std::string& kind) {
        return kind == "stg" ? staging_port : production_port;
    }

    bool leads_to(const NginxServer& server, const std::string& kind) const {
        return std::ranges::any_of(server.routes, [&](const NginxRoute& route) {
            return std::ranges::any_of(all_.groups, [&](const Group& group) {
                return std::ranges::any_of(group.services, [&](const auto& one) {
                    return one.second->name == route.host && one.first == kind;
                });
            });
        });
    }

    // Where users of the environment ask: nginx's ports as they are published, else a service's.
    std::vector<int> ports_of(const std::string& kind) const {
        const NginxServer* found = nullptr;
        for (const auto& server : all_.nginx.servers) {
            const bool usual =
                std::ranges::find(server.ports, usual_port(kind)) != server.ports.end();
            const bool last_hope = kind == "prd" && !server.routes.empty() && found == nullptr;
            if (leads_to(server, kind) || usual) {
                found = &server;
                break;
            }
            found = last_hope ? &server : found;
        }
        std::vector<int> out;
        if (found != nullptr) {
            for (const int port : found->ports) {
                out.push_back(published(port));
            }
            if (!found->certificate.empty()) {
                all_.draft.questions.push_back(
                    all_.nginx_file + ":" + std::to_string(found->line) + ": put " +
                    found->certificate + " and " + found->certificate_key +
                    " into one file, and name it in release.certificate of " + kind);
            }
            return out;
        }
        for (const auto& group : all_.groups) {
            for (const auto& [environment, service] : group.services) {
                for (const auto& port : service->ports) {
                    if (environment == kind && port.host > 0 && out.empty()) {
                        out.push_back(port.host);
                    }
                }
            }
        }
        return out.empty() ? std::vector<int>{usual_port(kind)} : out;
    }

    int published(int port) const {
        for (const auto* proxy : all_.proxies) {
            for (const auto& one : proxy->ports) {
                if (one.container == port && one.host > 0) {
                    return one.host;
                }
            }
        }
        return port;
    }

    std::string absolute(const std::string& path) const {
        return (all_.repository.root() / path).lexically_normal().string();
    }

    void fill(Place& place) {
        for (const auto& group : all_.groups) {
            for (const auto& [environment, service] : group.services) {
                if (!serves(place.name, environment)) {
                    continue;
                }
                for (const auto& file : service->env_files) {
                    const auto path = absolute(file);
                    if (std::ranges::find(place.env_files, path) == place.env_files.end()) {
                        place.env_files.push_back(path);
                    }
                }
                for (const auto& volume : service->volumes) {
                    take_volume(group, volume, place);
                }
            }
        }
        place.network = all_.shared ? project() + "_default" : "";
    }

    std::string project() const {
        std::string out;
        for (const unsigned char c : all_.compose.project.empty()
                                         ? all_.repository.root().filename().string()
                                         : all_.compose.project) {
            const char lower = static_cast<char>(std::tolower(c));
            if (std::isalnum(c) != 0 || c == '_' || c == '-') {
                out += lower;
            }
        }
        return out;
    }

    void question(const ComposeVolume& volume, const std::string& what) {
        const std::string text = all_.file + ":" + std::to_string(volume.line) + ": " + what;
        if (std::ranges::find(all_.draft.questions, text) == all_.draft.questions.end()) {
            all_.draft.questions.push_back(text);
        }
    }

    void take_volume(const Group& group, const ComposeVolume& volume, Place& place) {
        if (volume.source.empty()) {
            question(volume, "a volume without a name goes with its container: give it one");
        } else if (volume.source.ends_with("docker.sock")) {
            question(volume, "the engine's socket is not given to releases");
        } else if (volume.is_folder() && volume.read_only) {
            take_keys(volume, place);
        } else {
            auto part = std::ranges::find(all_.draft.parts, group.name, &Part::name);
            // The same folder is the same volume in all environments, whatever it is called there.
            auto known = std::ranges::find(part->volumes, volume.target,
                                           &std::pair<std::string, std::string>::second);
            if (known == part->volumes.end()) {
                known = part->volumes.insert(known, {volume_name(volume), volume.target});
            }
            const std::string& name = known->first;
            if (std::ranges::find(place.volumes, name, &Place::Volume::name) ==
                place.volumes.end()) {
                place.volumes.push_back(
                    {name,
                     volume.is_folder() ? absolute(volume.source) : project() + "_" + volume.source,
                     volume.read_only});
            }
        }
    }

    static std::string volume_name(const ComposeVolume& volume) {
        if (volume.is_folder()) {
            return slug(std::filesystem::path(volume.target).filename().string(), name_limit);
        }
        const auto end = volume.source.find_last_of("-_");
        const bool ends =
            end != std::string::npos && end > 0 &&
            !environment_kind(std::string_view(volume.source).substr(end + 1)).empty();
        return slug(volume.source.substr(0, ends ? end : std::string::npos), name_limit);
    }

    // Files that containers only read: each by itself, as key files are.
    void take_keys(const ComposeVolume& volume, Place& place) {
        const std::string source(clean_path(volume.source));
        std::vector<std::pair<std::string, std::string>>
            files;    // on the server, in the container
        if (volume.source.starts_with('/') || !is_path_below(source)) {
            question(volume, "name the files of " + volume.source + " in release.key_files");
            return;
        }
        if (all_.repository.has_file(source)) {
            files.emplace_back(absolute(source), volume.target);
        }
        for (const auto& name : all_.repository.has_folder(source) ? all_.repository.files(source)
                                                                   : std::vector<std::string>()) {
            files.emplace_back(absolute(join_path(source, name)),
                               join_path(clean_path(volume.target), name));
        }
        if (files.empty()) {
            question(volume,
                     "nothing lies at " + source + " yet: name its files in release.key_files");
        }
        for (const auto& [file, target] : files) {
            const auto same = [&](const Place::Key& key) { return key.target == target; };
            if (place.keys.size() < key_limit && std::ranges::none_of(place.keys, same)) {
                std::string name =
                    slug(std::filesystem::path(target).filename().string(), name_limit);
                if (std::ranges::find(place.keys, name, &Place::Key::name) != place.keys.end()) {
                    name += "-" + std::to_string(place.keys.size());
                }
                place.keys.push_back({name, file, target});
            }
        }
    }

    // "http://api-staging:4000" means the component api.
    std::string by_component(std::string value) const {
        for (const auto& [service, component] : all_.names) {
            for (const std::string before : {"//", "@"}) {
                const auto at = value.find(before + service);
                const auto end = at == std::string::npos ? at : at + before.size() + service.size();
                const bool whole = at != std::string::npos &&
                                   (end == value.size() || value[end] == ':' || value[end] == '/');
                if (whole && service != component) {
                    value.replace(at + before.size(), service.size(), slug(component, name_limit));
                }
            }
        }
        return value;
    }

    // What is the same in all environments belongs to the app, the rest to the server.
    void settle_environment() {
        for (const auto& group : all_.groups) {
            auto part = std::ranges::find(all_.draft.parts, group.name, &Part::name);
            std::map<std::string, std::map<std::string, std::string>>
                values;    // name, environment
            for (const auto& [environment, service] : group.services) {
                for (const auto& [name, value] : service->environment) {
                    values[name][environment] = by_component(value);
                }
            }
            for (const auto& [name, by_environment] : values) {
                settle_variable(group, *part, name, by_environment);
            }
        }
    }

    void settle_variable(const Group& group, Part& part, const std::string& name,
                         const std::map<std::string, std::string>& by_environment) {
        const std::string& first = by_environment.begin()->second;
        const bool secret = std::ranges::any_of(by_environment, [&](const auto& one) {
            return name_is_secret(name) || value_is_secret(one.second);
        });
        if (name == "PORT") {
            return;
        }
        if (secret) {
            all_.draft.questions.push_back(name + " of '" + group.name + "' stands in " +
                                           all_.file + ": move it into an env file");
            return;
        }
        const bool everywhere = by_environment.size() == group.services.size();
        const bool same = std::ranges::all_of(by_environment,
                                              [&](const auto& one) { return one.second == first; });
        if (everywhere && same) {
            part.env.emplace_back(name, escape_dollars(first));
            return;
        }
        for (auto& place : all_.draft.places) {
            const auto value = by_environment.find(place.name);
            if (value == by_environment.end()) {
                continue;
            }
            const auto there =
                std::ranges::find_if(place.env, [&](const auto& one) { return one.first == name; });
            if (there == place.env.end()) {
                place.env.emplace_back(name, escape_dollars(value->second));
            } else if (there->second != escape_dollars(value->second)) {
                all_.draft.questions.push_back(name + " differs between components in " +
                                               place.name +
                                               ", which share one environment: rename it");
            }
        }
    }

    static std::string escape_dollars(const std::string& text) {
        std::string out;
        for (const char c : text) {
            out += c == '$' ? "$$" : std::string(1, c);
        }
        return out;
    }

    Takeover& all_;
};

}    // namespace

void make_places(Takeover& all) {
    Places(all).run();
}

}    // namespace seatrial::config::init
