#include "config/init_node.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "config/values.h"
#include "config/yaml.h"

namespace seatrial::config::init {
namespace {

using Json = nlohmann::json;

constexpr std::size_t package_limit = 200;

constexpr PackageManager managers[] = {
    {"npm", "package-lock.json", "npm ci --no-audit --no-fund", "npm run", "npx --no-install"},
    {"pnpm", "pnpm-lock.yaml", "pnpm install --frozen-lockfile", "pnpm run", "pnpm exec"},
    {"yarn", "yarn.lock", "yarn install --frozen-lockfile", "yarn run", "yarn run"},
    {"bun", "bun.lock", "bun install --frozen-lockfile", "bun run", "bunx --no-install"},
    {"bun", "bun.lockb", "bun install --frozen-lockfile", "bun run", "bunx --no-install"},
};
// Yarn 2 and later would need its install state, a file outside the shared folders, to run
// anything; npm's runner needs only node_modules.
constexpr PackageManager yarn_berry = {"yarn 2+", "yarn.lock",
                                       "YARN_NODE_LINKER=node-modules yarn install --immutable",
                                       "npm run", "npx --no-install"};

bool is_berry(const Repository& repository, const Package& package) {
    const auto& wish = package.manager;
    if (wish.starts_with("yarn@") && wish.size() > 5 && wish[5] >= '2' && wish[5] <= '9') {
        return true;
    }
    return repository.has_file(join_path(package.folder, ".yarnrc.yml")) ||
           repository.read(join_path(package.folder, "yarn.lock"))
                   .value_or("")
                   .find("__metadata:") != std::string::npos;
}

// The lock file decides; without one, the field packageManager; without that, npm.
const PackageManager& manager_of(const Repository& repository, const Package& package,
                                 bool& locked) {
    locked = true;
    const auto* found = std::ranges::find_if(managers, [&](const PackageManager& manager) {
        return repository.has_file(join_path(package.folder, manager.lock));
    });
    if (found == std::end(managers)) {
        locked = false;
        found = std::ranges::find_if(managers, [&](const PackageManager& manager) {
            return package.manager.starts_with(std::string(manager.name) + "@");
        });
    }
    if (found == std::end(managers)) {
        found = std::begin(managers);
    }
    return found->name == "yarn" && is_berry(repository, package) ? yarn_berry : *found;
}

void add_names(const Json& object, std::set<std::string>& out) {
    if (object.is_object()) {
        for (const auto& [name, value] : object.items()) {
            out.insert(name);
        }
    }
}

std::vector<std::string> texts(const Json& array) {
    std::vector<std::string> out;
    if (array.is_array()) {
        for (const auto& item : array) {
            if (item.is_string() && out.size() < package_limit) {
                out.push_back(item.get<std::string>());
            }
        }
    }
    return out;
}

// A reference: copying JSON that is nested half a million deep would exhaust the stack.
const Json& member(const Json& object, const char* name) {
    static const Json none;
    return object.is_object() && object.contains(name) ? object.at(name) : none;
}

std::vector<std::string> pnpm_workspaces(const Repository& repository, const std::string& folder) {
    std::vector<std::string> out;
    const auto text = repository.read(join_path(folder, "pnpm-workspace.yaml"));
    const auto document = parse_yaml(text.value_or(""), "pnpm-workspace.yaml");
    if (const Node* packages = document.root.find("packages")) {
        for (const auto& item : packages->children) {
            out.push_back(item.text);
        }
    }
    return out;
}

// "apps/*" -> the folders in apps that hold a package; "tools/x" -> itself.
std::vector<std::string> workspace_folders(const Repository& repository, const Package& root) {
    std::vector<std::string> out;
    const auto add = [&](const std::string& folder) {
        if (out.size() < package_limit && repository.has_file(join_path(folder, "package.json")) &&
            std::ranges::find(out, folder) == out.end()) {
            out.push_back(folder);
        }
    };
    for (const auto& pattern : root.workspaces) {
        const auto star = pattern.find('*');
        const std::string fixed(clean_path(std::string_view(pattern).substr(0, star)));
        if (pattern.starts_with('!') || (!fixed.empty() && !is_plain_path(fixed))) {
            continue;
        }
        const std::string base = join_path(root.folder, fixed);
        if (star == std::string::npos) {
            add(base);
            continue;
        }
        for (const auto& name : repository.folders(base)) {
            add(join_path(base, name));
            if (pattern.find("**") != std::string::npos) {
                for (const auto& inner : repository.folders(join_path(base, name))) {
                    add(join_path(join_path(base, name), inner));
                }
            }
        }
    }
    return out;
}

// What the install command leaves in the folders. Workspaces by patterns, because a package
// whose dependencies all went to the root has no node_modules: a pattern may match nothing.
std::vector<std::string> kept_folders(const Package& root,
                                      const std::vector<std::string>& workspaces) {
    std::vector<std::string> out = {"node_modules"};
    for (const auto& folder : workspaces) {
        const auto below = root.folder.empty()
                               ? folder
                               : folder.substr(std::min(folder.size(), root.folder.size() + 1));
        const auto slash = below.rfind('/');
        const auto pattern = slash == std::string::npos
                                 ? std::string("*/node_modules")
                                 : below.substr(0, slash) + "/*/node_modules";
        if (std::ranges::find(out, pattern) == out.end()) {
            out.push_back(pattern);
        }
    }
    return out;
}

void add_install(const Repository& repository, const Package& root, const PackageManager& manager,
                 bool locked, const std::vector<std::string>& workspaces, Draft& draft) {
    if (root.dependencies.empty() && workspaces.empty()) {
        return;    // nothing to install, so no node_modules that could be kept
    }
    InstallStep step;
    step.folder = root.folder;
    step.run = manager.install;
    step.key = {std::string(manager.lock)};
    step.keep = kept_folders(root, workspaces);
    if (!locked) {
        step.run = manager.name == "npm" ? "npm install --no-audit --no-fund"
                                         : std::string(manager.name) + " install";
        step.key = {"package.json"};
        draft.questions.push_back(join_path(root.folder, std::string(manager.lock)) +
                                  " is missing: installs will not be repeatable; commit it");
    }
    for (const std::string_view setting : {".npmrc", ".yarnrc.yml", "pnpm-workspace.yaml"}) {
        if (repository.has_file(join_path(root.folder, setting))) {
            step.key.emplace_back(setting);
        }
    }
    if (manager.name == yarn_berry.name) {
        draft.install_comments.emplace_back(
            "Plug'n'Play keeps one file outside the folders that can be shared, so this installs "
            "into node_modules.");
    }
    draft.installs.push_back(std::move(step));
}

void inspect_project(const Repository& repository, const Package& root, bool only_project,
                     Draft& draft) {
    bool locked = false;
    const PackageManager& manager = manager_of(repository, root, locked);
    const auto workspaces = workspace_folders(repository, root);
    std::string note(manager.name);
    note += workspaces.empty() ? " project"
                               : " workspace, packages: " + std::to_string(workspaces.size());
    draft.notes.push_back(note + (root.folder.empty() ? "" : " in " + root.folder));
    add_install(repository, root, manager, locked, workspaces, draft);
    const std::size_t before = draft.parts.size();
    std::vector<Package> packages = {root};
    for (const auto& folder : workspaces) {
        if (auto package = read_package(repository, folder, draft)) {
            packages.push_back(std::move(*package));
        }
    }
    for (const auto& package : packages) {
        inspect_database(repository, package, manager, draft);
        if (&package == &packages.front() && packages.size() > 1) {
            continue;    // the root of a workspace only starts the others
        }
        if (auto part = runnable_part(repository, package, manager, false)) {
            draft.parts.push_back(std::move(*part));
        }
    }
    const bool found = draft.parts.size() > before;
    for (auto& part : parts_of_scripts(repository, root, manager)) {
        if (!found || !part.has_port) {
            draft.parts.push_back(std::move(part));
        }
    }
    if (draft.parts.size() == before && (only_project || packages.size() == 1)) {
        if (auto part = runnable_part(repository, root, manager, true)) {
            draft.parts.push_back(std::move(*part));
        }
    }
}

}    // namespace

std::optional<Package> read_package(const Repository& repository, const std::string& folder,
                                    Draft& draft) {
    const std::string path = join_path(folder, "package.json");
    if (!repository.has_file(path)) {
        return std::nullopt;
    }
    const auto text = repository.read(path);
    const auto json = Json::parse(text.value_or(""), nullptr, false);
    if (!json.is_object()) {
        draft.questions.push_back(path + " cannot be read as JSON and was left out");
        return std::nullopt;
    }
    Package out;
    out.folder = folder;
    if (const auto& name = member(json, "name"); name.is_string()) {
        out.name = name.get<std::string>();
    }
    if (const auto& manager = member(json, "packageManager"); manager.is_string()) {
        out.manager = manager.get<std::string>();
    }
    const auto& scripts = member(json, "scripts");
    for (const auto& [name, value] : scripts.items()) {
        if (scripts.is_object() && value.is_string()) {
            out.scripts[name] = value.get<std::string>();
        }
    }
    add_names(member(json, "dependencies"), out.dependencies);
    add_names(member(json, "devDependencies"), out.dependencies);
    const auto& workspaces = member(json, "workspaces");
    out.workspaces = texts(workspaces.is_object() ? member(workspaces, "packages") : workspaces);
    for (auto& pattern : pnpm_workspaces(repository, folder)) {
        out.workspaces.push_back(std::move(pattern));
    }
    return out;
}

void inspect_node(const Repository& repository, Draft& draft) {
    std::vector<Package> roots;
    if (auto root = read_package(repository, "", draft)) {
        draft.app = draft.app.empty() ? root->name : draft.app;
        roots.push_back(std::move(*root));
    }
    // Projects side by side (frontend/, backend/), unless they belong to a workspace.
    const bool workspace = !roots.empty() && !roots.front().workspaces.empty();
    constexpr std::string_view beside[] = {"docs", "examples", "example", "test", "tests",
                                           "e2e",  "scripts",  "tools",   "bench"};
    for (const auto& folder : repository.folders("")) {
        if (workspace) {
            break;
        }
        if (std::ranges::find(beside, folder) != std::end(beside)) {
            continue;
        }
        bool locked = false;
        auto package = read_package(repository, folder, draft);
        if (!package) {
            continue;
        }
        manager_of(repository, *package, locked);
        if (roots.empty() || locked) {
            roots.push_back(std::move(*package));
        }
    }
    for (const auto& root : roots) {
        inspect_project(repository, root, roots.size() == 1, draft);
    }
}

}    // namespace seatrial::config::init
