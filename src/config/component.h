// A part of an app that runs, as its seatrial.yaml says.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace seatrial::config {

// A user's command: text for /bin/sh -c inside the isolation, or argv.
struct UserCommand {
    std::string text;                 // set when written as a string
    std::vector<std::string> argv;    // set when written as a list
    bool empty() const { return text.empty() && argv.empty(); }
    std::vector<std::string> to_argv() const;    // {"/bin/sh","-c",text} or argv
    bool operator==(const UserCommand&) const = default;
};

struct Health {
    std::string path;    // HTTP GET, 2xx/3xx is healthy; "" = the port answers
    std::chrono::milliseconds timeout{60'000};
    bool operator==(const Health&) const = default;
};

// How a component's image is made from the repository.
struct Build {
    std::string context;                // folder below the tree; "" = its root
    std::string file = "Dockerfile";    // below the context
    std::string target;                 // stage; "" = the last
    std::map<std::string, std::string> args;
    bool operator==(const Build&) const = default;
};

// Files that a web server gives out as they are.
struct StaticSite {
    std::string context;    // folder below the tree; "" = its root
    std::string folder;     // what is served, below the context, once `run` is done
    UserCommand run;        // in `image`; empty: the files are in the repository
    std::string image;
    std::string server = "nginxinc/nginx-unprivileged:1.27.3-alpine";    // laid out as nginx's
    bool operator==(const StaticSite&) const = default;
};

struct Component {
    std::string name;
    UserCommand run;
    std::string port;                // variable that carries its port ("WEB_PORT"); "" = no port
    int base_port = 0;               // first of its port slots; 0 = server's default
    std::optional<Health> health;    // absent: alive after start is enough
    std::string cwd;                 // below the tree
    std::map<std::string, std::string> env;        // templated: ${PORT}, ${API_URL}, ...
    int container_port = 0;                        // of releases; 0 = the variable's default
    std::map<std::string, std::string> volumes;    // of releases: name → folder in the container
    std::string path = "/";                        // URL path this component answers for
    std::optional<Build> build;                    // made into an image for releases, or
    std::string image;                             // taken as it is, or
    std::optional<StaticSite> site;                // none of the three: not part of releases
    int instances = 1;                             // of a release
    bool is_released() const { return build || site || !image.empty(); }
    bool operator==(const Component&) const = default;
};

}    // namespace seatrial::config
