// What the inspectors of init.h gather before it becomes a file. Inside config/ only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/app.h"
#include "config/init_repository.h"

namespace seatrial::config::init {

struct Part {
    std::string name;    // unique after finish()
    std::string run;     // "{port}" stands for its port variable
    bool has_port = true;
    std::optional<std::string> health;    // "" = the port answers
    std::string folder;                   // cwd
    std::vector<std::pair<std::string, std::string>> env;
    std::string comment;
    // Of releases.
    std::optional<Build> build;
    std::string image;
    std::string path;                                            // "" = /
    int container_port = 0;                                      // 0 = not known
    std::vector<std::pair<std::string, std::string>> volumes;    // name, folder in the container
    int instances = 1;
};

// An environment that takes releases, for the server's file.
struct Place {
    struct Key {
        std::string name, file, target;
    };
    struct Volume {
        std::string name, source;
        bool read_only = false;
    };
    std::string name;
    std::vector<int> ports;
    std::vector<std::string> env_files;    // absolute
    std::vector<std::pair<std::string, std::string>> env;
    std::vector<Key> keys;
    std::vector<Volume> volumes;
    std::string network;    // of the engine; "" = none
};

struct InstallStep {
    std::string run;
    std::string folder;
    std::vector<std::string> key, keep;    // below `folder`
};

struct EnvLine {
    std::string name;
    std::string value;    // "" = none given
    bool secret = false;
    bool required = false;
};

struct Draft {
    std::string app;
    std::vector<Part> parts;
    std::vector<Place> places;
    std::vector<InstallStep> installs;
    std::vector<std::string> install_comments;
    std::string migrate;
    std::string migrate_folder;
    std::string engine;    // "", postgres, sqlite
    std::string database_template;
    std::string database_url = "DATABASE_URL";
    std::string database_file;
    std::vector<EnvLine> env;
    std::vector<std::string> notes, questions;

    // The first that was found counts.
    void set_engine(std::string_view found);
    void set_migrate(std::string run, std::string folder);
};

// The path in `text` of a route that answers for health ("/healthz", "/health"), else "".
std::string health_route(std::string_view text);
// True when `text` contains `word` between characters that are not part of a package name.
bool mentions(std::string_view text, std::string_view word);

// Each adds what it knows. init_node*.cpp, init_python.cpp, init_services.cpp.
void inspect_node(const Repository& repository, Draft& draft);
void inspect_python(const Repository& repository, Draft& draft);
void inspect_procfile(const Repository& repository, Draft& draft);
void inspect_compose(const Repository& repository, Draft& draft);
// The app's services of a Compose file, with the routes of an nginx.conf: init_takeover.cpp.
void take_over(const Repository& repository, Draft& draft);
void inspect_env_example(const Repository& repository, Draft& draft);

// "" when `image` is no service that previews would share, else what it is: "postgres", "Redis".
std::string_view shared_service(std::string_view image);
std::string compose_file(const Repository& repository);    // "" = none

// init_render.cpp: the commented file; init_render_server.cpp: the server's, "" without places.
std::string yaml_text(const std::string& text, bool flow = false);
std::string render(const Draft& draft);
std::string render_server(const Draft& draft);

}    // namespace seatrial::config::init
