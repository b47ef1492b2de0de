#include "edge/wanted.h"

#include <algorithm>
#include <set>

namespace seatrial::edge {
namespace {

constexpr std::size_t most_name = 48;
constexpr std::size_t most_value = 200;
constexpr int most_instances = 64;

// Everything below becomes a word of a configuration file or of a command, where blanks, quotes,
// backslashes, semicolons and the like mean something.
bool made_of(std::string_view text, std::string_view besides_alphanumeric) {
    return !text.empty() && text.size() <= most_value &&
           std::all_of(text.begin(), text.end(), [&](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      besides_alphanumeric.find(c) != std::string_view::npos;
           });
}

bool is_name(std::string_view text) {
    return text.size() <= most_name && made_of(text, "-_") && text != "none";
}

bool is_host(std::string_view text) {
    return made_of(text, "-.") &&
           std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_slot(std::string_view text) {
    return std::find(slot_names.begin(), slot_names.end(), text) != slot_names.end();
}

tl::unexpected<Error> fault(const std::string& field, std::string message) {
    Error error{Code::invalid, std::move(message), "", field, nullptr};
    return tl::unexpected(std::move(error));
}

Status check_server(const std::string& field, const Server& server) {
    if (!made_of(server.address, ".:") || server.port < 1 || server.port > 65535) {
        return fault(field, "'" + server.address + "' port " + std::to_string(server.port) +
                                " is no address of a server");
    }
    return {};
}

Status check_listens(const std::string& field, const std::vector<Listen>& listens,
                     std::set<Listen>* taken) {
    for (const auto& listen : listens) {
        if (listen.port < 1 || listen.port > 65535 ||
            (!listen.address.empty() && !made_of(listen.address, ".:[]"))) {
            return fault(field, "'" + listen.address + ":" + std::to_string(listen.port) +
                                    "' cannot be listened on");
        }
        if (!listen.certificate.empty() && !made_of(listen.certificate.string(), "/._-+@")) {
            return fault(field, "the certificate's path may hold letters, digits and /._-+@ only");
        }
        if (!taken->insert({listen.address, listen.port, {}}).second) {
            return fault(field, "port " + std::to_string(listen.port) + " is listened on twice");
        }
    }
    return {};
}

Status check_routes(const Site& site, const std::set<std::string>& components) {
    const std::string field = "sites." + site.name + ".routes";
    for (const auto& route : site.routes) {
        if (components.count(route.component) == 0) {
            return fault(field, "there is no component '" + route.component + "'");
        }
        if (!made_of(route.path, "/._-~%+@:,=!$&()") || route.path.front() != '/') {
            return fault(field, "the path '" + route.path +
                                    "' must begin with / and hold no "
                                    "blanks, quotes or wildcards");
        }
        if (!route.host.empty() && !is_host(route.host)) {
            return fault(field, "'" + route.host + "' is no host name in lower case");
        }
    }
    return {};
}

Status check_slots(const Site& site, const std::set<std::string>& components) {
    const std::string field = "sites." + site.name + ".slots";
    for (const auto& [slot, parts] : site.slots) {
        if (!is_slot(slot)) {
            return fault(field, "there is no slot '" + slot + "'; slots are a, b and c");
        }
        for (const auto& [component, servers] : parts) {
            if (components.count(component) == 0) {
                return fault(field, "there is no component '" + component + "'");
            }
            if (servers.size() > static_cast<std::size_t>(site.instances)) {
                return fault(field, std::to_string(servers.size()) + " instances of '" + component +
                                        "'; there is room for " + std::to_string(site.instances));
            }
            for (const auto& server : servers) {
                TRY(check_server(field, server));
            }
        }
    }
    return {};
}

Status check_choice(const Site& site) {
    const std::string field = "sites." + site.name;
    if (!site.stable.empty() && !is_slot(site.stable)) {
        return fault(field + ".stable", "there is no slot '" + site.stable + "'");
    }
    if (site.canary) {
        if (!is_slot(site.canary->slot) || site.canary->slot == site.stable) {
            return fault(field + ".canary", "'" + site.canary->slot +
                                                "' is no slot beside the "
                                                "stable one");
        }
        if (site.canary->per_mille < 0 || site.canary->per_mille > 1000) {
            return fault(field + ".canary", "the share must be 0 to 1000 per mille");
        }
        for (const auto& user : site.canary->allow) {
            if (!made_of(user, "-_.@+=/:")) {
                return fault(field + ".canary.allow", "'" + user + "' is no cookie value");
            }
        }
    }
    for (const auto& [slot, value] : site.probes) {
        if (!is_slot(slot) || !made_of(value.reveal(), "-_")) {
            return fault(field + ".probes", "a probe is a slot and a value of letters and digits");
        }
    }
    return {};
}

Status check_site(const Site& site, std::set<Listen>* taken) {
    if (!is_name(site.name)) {
        return fault("sites", "'" + site.name + "' is no name of a site");
    }
    if (site.instances < 1 || site.instances > most_instances || site.slow_ms < 1 ||
        !is_name(site.user_cookie)) {
        return fault("sites." + site.name,
                     "instances must be 1 to 64, slow_ms positive and the "
                     "user cookie a name");
    }
    std::set<std::string> components;
    for (const auto& component : site.components) {
        if (!is_name(component) || !components.insert(component).second) {
            return fault("sites." + site.name + ".components",
                         "'" + component + "' is no name of a component, or stands there twice");
        }
    }
    TRY(check_listens("sites." + site.name + ".listens", site.listens, taken));
    TRY(check_routes(site, components));
    TRY(check_slots(site, components));
    return check_choice(site);
}

}    // namespace

Status validate(const Wanted& wanted) {
    std::set<std::string> names;
    std::set<Listen> taken;
    for (const auto& site : wanted.sites) {
        TRY(check_site(site, &taken));
        if (!names.insert(site.name).second) {
            return fault("sites", "'" + site.name + "' stands there twice");
        }
    }
    TRY(check_listens("preview_listens", wanted.preview_listens, &taken));
    if (!wanted.preview_listens.empty() && !made_of(wanted.waker, "/.:@_-")) {
        return fault("waker", "'" + wanted.waker + "' is no address");
    }
    std::set<std::string> hosts;
    for (const auto& preview : wanted.previews) {
        if (!is_host(preview.host) || !hosts.insert(preview.host).second) {
            return fault("previews", "'" + preview.host +
                                         "' is no host name in lower case, or stands there twice");
        }
        TRY(check_server("previews", preview.server));
    }
    if (wanted.most_connections < 10) {
        return fault("most_connections", "at least 10 are needed");
    }
    return {};
}

std::string backend_name(std::string_view site, std::string_view slot, std::string_view component) {
    std::string out(site);
    out.append(".").append(slot).append(".").append(component);
    return out;
}

}    // namespace seatrial::edge
