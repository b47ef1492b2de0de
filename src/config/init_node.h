// Projects of the Node.js world, as read from their package.json. Inside config/ only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/init_draft.h"

namespace seatrial::config::init {

struct PackageManager {
    std::string_view name;
    std::string_view lock;       // its lock file
    std::string_view install;    // in the project's folder
    std::string_view run;        // before the name of a script
    std::string_view exec;       // before a program of the dependencies
};

struct Package {
    std::string folder;    // "" = root
    std::string name;
    std::string manager;    // "pnpm@9.1.0"
    std::map<std::string, std::string> scripts;
    std::set<std::string> dependencies;     // dev ones too
    std::vector<std::string> workspaces;    // patterns
};

// nullopt when there is none; broken or oversized ones are a question in the draft.
std::optional<Package> read_package(const Repository& repository, const std::string& folder,
                                    Draft& draft);

// The command that starts `package` with its port variable, if it looks like a runnable part.
// `alone`: it is all there is, so a script without a known framework counts too.
std::optional<Part> runnable_part(const Repository& repository, const Package& package,
                                  const PackageManager& manager, bool alone);
// Components named by scripts of the root: dev:web, dev:api, start:worker, worker.
std::vector<Part> parts_of_scripts(const Repository& repository, const Package& package,
                                   const PackageManager& manager);
// Migrations and database of one package.
void inspect_database(const Repository& repository, const Package& package,
                      const PackageManager& manager, Draft& draft);

}    // namespace seatrial::config::init
