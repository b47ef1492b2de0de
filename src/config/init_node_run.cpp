#include <algorithm>

#include "base/text.h"
#include "config/init_node.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

// A development server that takes its port on the command line.
struct Framework {
    std::string_view dependency;
    std::string_view program;
    std::string_view arguments;    // when no script tells more
    std::string_view port;         // how it is told where to listen
};
// What others are built on stands last.
constexpr Framework frameworks[] = {
    {"next", "next", "dev", "-p {port} -H 127.0.0.1"},
    {"nuxt", "nuxt", "dev", "--port {port} --host 127.0.0.1"},
    {"astro", "astro", "dev", "--port {port} --host 127.0.0.1"},
    {"@react-router/dev", "react-router", "dev", "--port {port} --host 127.0.0.1"},
    {"@remix-run/dev", "remix", "vite:dev", "--port {port} --host 127.0.0.1"},
    {"@angular/cli", "ng", "serve", "--port {port} --host 127.0.0.1"},
    {"gatsby", "gatsby", "develop", "-p {port} -H 127.0.0.1"},
    {"@vue/cli-service", "vue-cli-service", "serve", "--port {port} --host 127.0.0.1"},
    {"react-scripts", "react-scripts", "start", ""},    // reads PORT
    {"vite", "vite", "", "--port {port} --strictPort --host 127.0.0.1"},
    {"webpack-dev-server", "webpack", "serve", "--port {port} --host 127.0.0.1"},
};
constexpr std::string_view server_libraries[] = {
    "express", "fastify",        "koa",          "@nestjs/core",        "hono",  "@hapi/hapi",
    "restify", "@apollo/server", "graphql-yoga", "@feathersjs/express", "polka", "h3"};
// Flags that would contradict ours, with or without a value behind them.
constexpr std::string_view listen_flags[] = {"-p", "--port", "-H", "--host", "--hostname"};
constexpr std::string_view port_words[] = {"web",      "api",     "app",   "server", "client",
                                           "frontend", "backend", "admin", "site"};
constexpr std::string_view worker_words[] = {"worker", "workers", "jobs", "queue"};
// Programs that build or check and do not serve.
constexpr std::string_view idle_programs[] = {"tsc",  "tsup",         "rollup",  "vitest", "jest",
                                              "echo", "storybook",    "turbo",   "nx",     "lerna",
                                              "exit", "concurrently", "esbuild", "eslint"};

std::vector<std::string> words_of(std::string_view script) {
    std::vector<std::string> out;
    for (const auto word : split(script, ' ')) {
        if (!word.empty()) {
            out.emplace_back(word);
        }
    }
    // "NODE_ENV=development next dev", "cross-env A=b next dev": the program is what counts.
    const auto is_setting = [](std::string_view word) {
        const auto equals = word.find('=');
        return word == "cross-env" ||
               (equals != std::string_view::npos && is_variable_name(word.substr(0, equals)));
    };
    out.erase(out.begin(), std::ranges::find_if_not(out, is_setting));
    return out;
}

// One program with plain words: nothing that a shell would read differently.
bool is_plain(std::string_view script) {
    return script.find_first_of("&|;<>$`\"'\\(){}*?~#\n\r\t") == std::string_view::npos &&
           is_valid_utf8(script);
}

std::string without_listen_flags(const std::vector<std::string>& words) {
    std::string out;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string_view word = words[i];
        const auto name = word.substr(0, word.find('='));
        if (std::ranges::find(listen_flags, name) == std::end(listen_flags)) {
            out += " " + words[i];
        } else if (name.size() == word.size() && i + 1 < words.size() &&
                   !words[i + 1].starts_with('-')) {
            ++i;
        }
    }
    return out;
}

const std::string* script_of(const Package& package, std::string_view name) {
    const auto found = package.scripts.find(std::string(name));
    return found == package.scripts.end() ? nullptr : &found->second;
}

// "next dev --turbo -p 3000" -> "pnpm exec next dev --turbo -p $WEB_PORT ...".
std::optional<Part> framework_part(const Package& package, const PackageManager& manager) {
    for (const auto& framework : frameworks) {
        if (!package.dependencies.contains(std::string(framework.dependency))) {
            continue;
        }
        std::string arguments =
            framework.arguments.empty() ? "" : " " + std::string(framework.arguments);
        bool scripted = false;
        for (const std::string_view name : {"dev", "start", "serve"}) {
            const auto* script = script_of(package, name);
            const auto words = script == nullptr ? std::vector<std::string>{} : words_of(*script);
            if (!scripted && !words.empty() && words.front() == framework.program &&
                is_plain(*script)) {
                arguments = without_listen_flags(words);
                scripted = true;
            }
        }
        const bool serves = std::ranges::any_of(server_libraries, [&](std::string_view library) {
            return package.dependencies.contains(std::string(library));
        });
        if (!scripted && serves) {
            continue;    // a server of its own that uses the framework as a library
        }
        Part part;
        part.run = std::string(manager.exec) + " " + std::string(framework.program) + arguments;
        if (framework.port.empty()) {
            part.env = {{"HOST", "127.0.0.1"}, {"BROWSER", "none"}};
        } else {
            part.run += " " + std::string(framework.port);
        }
        part.health = "/";
        part.name = "web";
        return part;
    }
    return std::nullopt;
}

bool is_idle(std::string_view script) {
    const auto words = words_of(script);
    return words.empty() ||
           std::ranges::find(idle_programs, words.front()) != std::end(idle_programs);
}

// A plain "node file.js" runs without the package manager in between: it starts sooner and gets
// its signals itself.
std::string script_command(const Package& package, const PackageManager& manager,
                           const std::string& name) {
    const auto* script = script_of(package, name);
    if (script != nullptr && is_plain(*script) && script->starts_with("node ") &&
        words_of(*script).size() >= 2) {
        return *script;
    }
    return std::string(manager.run) + " " + name;
}

// Routes are looked for where servers usually begin.
std::string find_health(const Repository& repository, const std::string& folder,
                        const std::string& run) {
    std::vector<std::string> files = {"server.js",    "index.js",      "app.js",
                                      "src/index.js", "src/server.js", "src/index.ts",
                                      "src/main.ts",  "src/server.ts", "src/app.ts"};
    for (const auto word : split(run, ' ')) {
        files.insert(files.begin(), std::string(word));
    }
    for (const auto& file : files) {
        const auto text = repository.read(join_path(folder, clean_path(file)));
        if (const auto route = health_route(text.value_or("")); !route.empty()) {
            return route;
        }
    }
    return {};
}

// `start` when it runs what is in the repository, else `dev`: what is built is not there yet.
std::string server_script(const Package& package) {
    const auto usable = [&](std::string_view name) {
        const auto* script = script_of(package, name);
        return script != nullptr && !is_idle(*script);
    };
    if (usable("start")) {
        const auto& start = *script_of(package, "start");
        const bool built = start.find("dist") != std::string::npos ||
                           start.find("build") != std::string::npos ||
                           start.find(".next") != std::string::npos;
        if (!built) {
            return "start";
        }
    }
    for (const std::string_view name : {"dev", "start:dev", "serve", "start"}) {
        if (usable(name)) {
            return std::string(name);
        }
    }
    return {};
}

std::string folder_name(const std::string& folder) {
    return folder.substr(folder.rfind('/') + 1);
}

}    // namespace

std::optional<Part> runnable_part(const Repository& repository, const Package& package,
                                  const PackageManager& manager, bool alone) {
    auto part = framework_part(package, manager);
    const bool library = std::ranges::any_of(server_libraries, [&](std::string_view name) {
        return package.dependencies.contains(std::string(name));
    });
    const bool app_folder =
        package.folder.starts_with("apps/") ||
        std::ranges::find(port_words, folder_name(package.folder)) != std::end(port_words);
    if (!part && (library || alone || app_folder)) {
        Part server;
        const auto script = server_script(package);
        const auto file = repository.first_file(
            package.folder, {"server.js", "server.mjs", "index.js", "index.mjs", "app.js"});
        if (!script.empty()) {
            server.run = script_command(package, manager, script);
        } else if (!file.empty()) {
            server.run = "node " + file;
        } else {
            return std::nullopt;
        }
        server.name = library && !alone && !package.folder.empty() ? "api" : "web";
        server.comment = "Must listen on $PORT; it is set to the same number as {port}.";
        server.health = find_health(repository, package.folder, server.run);
        part = std::move(server);
    }
    if (part) {
        part->folder = package.folder;
        part->name = package.folder.empty() ? part->name : folder_name(package.folder);
    }
    return part;
}

std::vector<Part> parts_of_scripts(const Repository& repository, const Package& package,
                                   const PackageManager& manager) {
    std::vector<Part> out;
    const auto add = [&](std::string_view word, const std::string& script, bool port) {
        const auto known = [&](const Part& part) { return part.name == word; };
        if (script_of(package, script) == nullptr || std::ranges::any_of(out, known)) {
            return;
        }
        Part part;
        part.name = word;
        part.run = script_command(package, manager, script);
        part.folder = package.folder;
        part.has_port = port;
        if (port) {
            part.comment = "Must listen on ${port} (or $PORT, which is the same).";
            part.health = find_health(repository, package.folder, *script_of(package, script));
        }
        out.push_back(std::move(part));
    };
    for (const std::string_view prefix : {"dev:", "start:", "serve:"}) {
        for (const auto word : port_words) {
            add(word, std::string(prefix) + std::string(word), true);
        }
        for (const auto word : worker_words) {
            add(word, std::string(prefix) + std::string(word), false);
        }
    }
    for (const auto word : worker_words) {
        add(word, std::string(word), false);
    }
    return out;
}

}    // namespace seatrial::config::init
