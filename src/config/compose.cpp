#include "config/compose.h"

#include <algorithm>

#include "base/text.h"
#include "config/values.h"
#include "config/yaml.h"

namespace seatrial::config {
namespace {

constexpr std::size_t service_limit = 100;
constexpr std::size_t left_out_limit = 100;

// Keys of a service that need nobody: Seatrial does what they ask for, each time.
constexpr std::string_view done_anyway[] = {
    "container_name", "depends_on", "hostname",    "init",        "labels",
    "logging",        "networks",   "pull_policy", "restart",     "stop_grace_period",
    "stop_signal",    "x-",         "attach",      "annotations",
};

struct Reason {
    std::string_view key, why;
};
constexpr Reason reasons[] = {
    {"cap_add", "containers of releases have no capabilities"},
    {"devices", "containers of releases have no devices"},
    {"extends", "write the service out"},
    {"network_mode", "each release has a network of its own; the server is host.docker.internal"},
    {"privileged", "containers of releases are never privileged"},
    {"user", "say it in the Dockerfile: USER"},
    {"working_dir", "say it in the Dockerfile: WORKDIR"},
    {"secrets", "name the files in release.key_files"},
    {"configs", "name the files in release.key_files"},
    {"mem_limit", "say it in the environment's limits"},
    {"cpus", "say it in the environment's limits"},
    {"deploy.resources", "say it in the environment's limits"},
    {"tmpfs", "containers of releases can write where the image lets them"},
};

class Reader {
public:
    explicit Reader(Compose& out) : out_(out) {}

    void read_services(const Node& list) {
        for (const auto& node : list.children) {
            if (out_.services.size() >= service_limit) {
                leave(node, "services." + node.key, "only the first 100 are read");
                return;
            }
            if (node.is_map()) {
                out_.services.push_back(read_service(node));
            }
        }
    }

private:
    void leave(const Node& node, const std::string& what, std::string_view why = "") {
        if (out_.left_out.size() < left_out_limit) {
            out_.left_out.push_back(
                {node.key_line > 0 ? node.key_line : node.line, what, std::string(why)});
        }
    }

    // ${NAME:-default} and ${NAME-default} are the default; $$ is a dollar.
    std::string plain(const Node& node, const std::string& what) {
        std::string out;
        const std::string_view text = node.text;
        for (std::size_t at = 0; at < text.size(); ++at) {
            if (text[at] != '$' || at + 1 == text.size()) {
                out += text[at];
            } else if (text[at + 1] == '$') {
                out += text[++at];
            } else {
                const bool braces = text[at + 1] == '{';
                std::size_t end = at + 1;
                if (braces) {
                    end = std::min(text.find('}', at), text.size());
                } else {
                    while (end < text.size() && is_variable_name(text.substr(at + 1, end - at))) {
                        ++end;
                    }
                }
                const auto name = braces ? text.substr(at + 2, end - std::min(end, at + 2))
                                         : text.substr(at + 1, end - at - 1);
                const auto dash = name.find('-');
                if (dash != std::string_view::npos) {
                    out += name.substr(dash + 1);
                } else {
                    leave(node, what, "the value of $" + std::string(name) + " is not known here");
                }
                at = braces ? end : end - 1;
            }
        }
        return out;
    }

    std::vector<std::string> list(const Node& node, const std::string& what) {
        std::vector<std::string> out;
        if (node.is_scalar()) {
            out.push_back(plain(node, what));
        }
        for (const auto& child : node.children) {
            const Node* path = child.find("path");    // of env_file
            if (child.is_scalar() || path != nullptr) {
                out.push_back(plain(path == nullptr ? child : *path, what));
            }
        }
        return out;
    }

    // A map, or a list of NAME=value.
    std::map<std::string, std::string> values(const Node& node, const std::string& what) {
        std::map<std::string, std::string> out;
        for (const auto& child : node.children) {
            std::string text = plain(child, what);
            std::string name = child.key;
            if (node.is_list()) {
                const auto equals = text.find('=');
                name = text.substr(0, equals);
                text = equals == std::string::npos ? "" : text.substr(equals + 1);
            }
            if (is_variable_name(name)) {
                out[name] = text;
            }
        }
        return out;
    }

    Build read_build(const Node& node, const std::string& what) {
        Build out;
        if (node.is_scalar()) {
            out.context = clean_path(plain(node, what));
        }
        for (const auto& child : node.children) {
            if (child.key == "context") {
                out.context = clean_path(plain(child, what));
            } else if (child.key == "dockerfile") {
                out.file = clean_path(plain(child, what));
            } else if (child.key == "target") {
                out.target = plain(child, what);
            } else if (child.key == "args") {
                out.args = values(child, what + ".args");
            } else if (child.key != "cache_from" && child.key != "cache_to") {
                leave(child, what + "." + child.key);
            }
        }
        if (out.context == ".") {
            out.context.clear();
        }
        return out;
    }

    void read_port(const Node& node, const std::string& what, std::vector<ComposePort>& out) {
        ComposePort port;
        std::string host, container;
        if (node.is_map()) {
            const Node* published = node.find("published");
            const Node* target = node.find("target");
            host = published == nullptr ? "" : plain(*published, what);
            container = target == nullptr ? "" : plain(*target, what);
        } else {
            std::string text = plain(node, what);
            if (text.ends_with("/udp")) {
                leave(node, what, "only HTTP over TCP has routes");
                return;
            }
            text = text.substr(0, text.find('/'));
            const auto colon = text.rfind(':');
            container = text.substr(colon == std::string::npos ? 0 : colon + 1);
            host = colon == std::string::npos ? "" : text.substr(0, colon);
            host = host.substr(host.rfind(':') == std::string::npos ? 0 : host.rfind(':') + 1);
        }
        const auto number = [](const std::string& text) {
            const auto parsed = parse_integer(text);
            return parsed && *parsed > 0 && *parsed <= 65535 ? static_cast<int>(*parsed) : 0;
        };
        port = {number(host), number(container)};
        if (port.container == 0 || (port.host == 0 && !host.empty())) {
            leave(node, what, "give each port by itself");
            return;
        }
        out.push_back(port);
    }

    void read_volume(const Node& node, const std::string& what, std::vector<ComposeVolume>& out) {
        ComposeVolume volume;
        volume.line = node.line;
        if (node.is_map()) {
            const Node* source = node.find("source");
            const Node* target = node.find("target");
            const Node* read_only = node.find("read_only");
            volume.source = source == nullptr ? "" : plain(*source, what);
            volume.target = target == nullptr ? "" : plain(*target, what);
            volume.read_only = read_only != nullptr && read_only->text == "true";
        } else {
            const std::string text = plain(node, what);
            const auto parts = split(text, ':');
            volume.source = parts.size() > 1 ? std::string(parts[0]) : "";
            volume.target = parts.size() > 1 ? parts[1] : parts[0];
            for (const auto option : split(parts.size() > 2 ? parts[2] : "", ',')) {
                volume.read_only = volume.read_only || option == "ro";
            }
        }
        const std::string_view target = volume.target;
        if (!target.starts_with('/') || !is_path_below(clean_path(target.substr(1))) ||
            volume.source.starts_with('~')) {
            leave(node, what, "write both folders in full");
            return;
        }
        if (!volume.source.empty() && !volume.is_folder() && !is_engine_name(volume.source)) {
            leave(node, what, "'" + excerpt(volume.source) + "' is no name of a volume");
            return;
        }
        out.push_back(std::move(volume));
    }

    // The path of the first URL in the command.
    static std::string health_path(const Node& check) {
        const Node* test = check.find("test");
        std::string text = test == nullptr ? "" : test->text;
        for (const auto& word : test == nullptr ? std::vector<Node>() : test->children) {
            text += " " + word.text;
        }
        const auto url = text.find("http://");
        if (url == std::string::npos) {
            return "";
        }
        const auto end = std::min(text.find_first_of(" '\"|;", url), text.size());
        const auto slash = text.find('/', url + 7);
        return slash >= end ? "/" : text.substr(slash, end - slash);
    }

    ComposeService read_service(const Node& node) {
        ComposeService out;
        out.line = node.key_line;
        out.name = node.key;
        for (const auto& child : node.children) {
            const std::string what = "services." + printable(node.key) + "." + printable(child.key);
            if (child.key == "image") {
                out.image = plain(child, what);
            } else if (child.key == "build") {
                out.build = read_build(child, what);
            } else if (child.key == "command") {
                if (child.is_scalar()) {
                    out.command.text = plain(child, what);
                } else {
                    out.command.argv = list(child, what);
                }
            } else if (child.key == "ports" || child.key == "expose") {
                for (const auto& port : child.children) {
                    read_port(port, what, out.ports);
                }
            } else if (child.key == "env_file") {
                out.env_files = list(child, what);
            } else if (child.key == "profiles") {
                out.profiles = list(child, what);
            } else if (child.key == "environment") {
                out.environment = values(child, what);
            } else if (child.key == "volumes") {
                for (const auto& volume : child.children) {
                    read_volume(volume, what, out.volumes);
                }
            } else if (child.key == "healthcheck") {
                out.health = health_path(child);
            } else if (child.key == "deploy" || child.key == "scale") {
                read_deploy(child, what, out);
            } else {
                leave_unknown(child, what);
            }
        }
        return out;
    }

    void read_deploy(const Node& node, const std::string& what, ComposeService& out) {
        const Node* replicas = node.key == "scale" ? &node : node.find("replicas");
        const auto count = replicas == nullptr ? std::nullopt : parse_integer(replicas->text);
        constexpr int most = 4;
        if (count && *count > 1) {
            out.instances = static_cast<int>(std::min<std::int64_t>(*count, most));
        }
        if (const Node* resources = node.find("resources")) {
            leave(*resources, what + ".resources", "say it in the environment's limits");
        }
    }

    void leave_unknown(const Node& child, const std::string& what) {
        const bool done = std::ranges::any_of(done_anyway, [&](std::string_view key) {
            return key.ends_with('-') ? child.key.starts_with(key) : child.key == key;
        });
        if (done) {
            return;
        }
        const auto* const reason = std::ranges::find(reasons, child.key, &Reason::key);
        leave(child, what, reason == std::end(reasons) ? "" : reason->why);
    }

    Compose& out_;
};

}    // namespace

Compose read_compose(std::string_view text, const std::string& name) {
    Compose out;
    const auto document = parse_yaml(text, name);
    const Node* services = document.root.find("services");
    out.readable = document.complete && services != nullptr && services->is_map();
    if (!out.readable) {
        return out;
    }
    if (const Node* project = document.root.find("name")) {
        out.project = project->text;
    }
    Reader(out).read_services(*services);
    return out;
}

}    // namespace seatrial::config
