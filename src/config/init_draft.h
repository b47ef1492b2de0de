// What the inspectors of init.h gather before it becomes a file. Inside config/ only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial::config::init {

// Reads files of a repository that nobody vouches for: regular files only, no links, at most
// 1 MB each, paths below the root. Thread: any.
class Repository {
public:
    explicit Repository(std::filesystem::path root) : root_(std::move(root)) {}
    std::optional<std::string> read(std::string_view path) const;
    bool has_file(std::string_view path) const;
    bool has_folder(std::string_view path) const;
    // Names of the folders in `path` ("" = root), sorted, at most 200; hidden ones, those
    // that hold other people's code (node_modules, vendor) and odd names are left out.
    std::vector<std::string> folders(std::string_view path) const;
    // The first of `names` that is a file in `folder`; "" when none is.
    std::string first_file(std::string_view folder,
                           const std::vector<std::string_view>& names) const;
    const std::filesystem::path& root() const { return root_; }

private:
    std::filesystem::path root_;
};

struct Part {
    std::string name;    // unique after finish()
    std::string run;     // "{port}" stands for its port variable
    bool has_port = true;
    std::optional<std::string> health;    // "" = the port answers
    std::string folder;                   // cwd
    std::vector<std::pair<std::string, std::string>> env;
    std::string comment;
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

// Below the root, and made of characters that no shell reads in its own way.
bool is_plain_path(std::string_view path);
std::string join_path(std::string_view folder, std::string_view name);
// The path in `text` of a route that answers for health ("/healthz", "/health"), else "".
std::string health_route(std::string_view text);
// True when `text` contains `word` between characters that are not part of a package name.
bool mentions(std::string_view text, std::string_view word);

// Each adds what it knows. init_node*.cpp, init_python.cpp, init_services.cpp.
void inspect_node(const Repository& repository, Draft& draft);
void inspect_python(const Repository& repository, Draft& draft);
void inspect_procfile(const Repository& repository, Draft& draft);
void inspect_compose(const Repository& repository, Draft& draft);
void inspect_env_example(const Repository& repository, Draft& draft);

// init_render.cpp: the commented file.
std::string render(const Draft& draft);

}    // namespace seatrial::config::init
