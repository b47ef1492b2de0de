#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "config/init_draft.h"
#include "config/values.h"

namespace seatrial::config::init {

// Plain where YAML reads it as it stands, else in double quotes. `flow`: inside [] or {}.
std::string yaml_text(const std::string& text, bool flow) {
    constexpr std::string_view indicators = "-?:,[]{}#&*!|>'\"%@` ~";
    const bool special =
        text.empty() || indicators.find(text.front()) != std::string_view::npos ||
        text.find(": ") != std::string::npos || text.find(" #") != std::string::npos ||
        text.ends_with(':') || text.ends_with(' ') || text == "null" || text == "Null" ||
        text == "NULL" || (flow && text.find_first_of(",[]{}:") != std::string::npos) ||
        std::ranges::any_of(text, [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f;
        });
    // JSON's quoting is YAML's too.
    return special
               ? nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)
               : text;
}

namespace {

std::string yaml_list(const std::vector<std::string>& items) {
    std::string out;
    for (const auto& item : items) {
        out += (out.empty() ? "" : ", ") + yaml_text(item, true);
    }
    return "[" + out + "]";
}

// Comment lines of at most 96 characters.
std::string comment(std::string_view text, std::string_view indent) {
    constexpr std::size_t width = 96;
    std::string out;
    std::string line;
    for (const auto word : split(text, ' ')) {
        if (!line.empty() && indent.size() + line.size() + word.size() + 3 > width) {
            out += std::string(indent) + "#" + line + "\n";
            line.clear();
        }
        line += " " + printable(word);
    }
    return out + std::string(indent) + "#" + line + "\n";
}

std::string with_port(std::string text, const std::string& port, std::string_view dollar) {
    constexpr std::string_view mark = "{port}";
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
        text.replace(at, mark.size(), std::string(dollar) + port);
    }
    return text;
}

std::string render_build(const Build& build) {
    std::string args;
    for (const auto& [name, value] : build.args) {
        args += (args.empty() ? "" : ", ") + name + ": " + yaml_text(value, true);
    }
    if (build.file == "Dockerfile" && build.target.empty() && args.empty()) {
        return build.context.empty() ? "." : yaml_text(build.context);
    }
    std::string out = "context: " + (build.context.empty() ? "." : yaml_text(build.context, true));
    out += build.file == "Dockerfile" ? "" : ", file: " + yaml_text(build.file, true);
    out += build.target.empty() ? "" : ", target: " + yaml_text(build.target, true);
    out += args.empty() ? "" : ", args: { " + args + " }";
    return "{ " + out + " }";
}

std::string render_part(const Part& part, bool first) {
    const std::string port = variable_prefix(part.name) + "_PORT";
    std::string out = "  " + part.name + ":\n";
    if (!part.comment.empty()) {
        std::string text = part.comment;
        if (const auto at = text.find("${port}"); at != std::string::npos) {
            text.replace(at, 7, "$" + port);
        }
        out += comment(with_port(text, port, "$"), "    ");
    }
    if (!part.folder.empty()) {
        out += "    cwd: " + yaml_text(part.folder) + "\n";
    }
    out += "    run: " + yaml_text(with_port(part.run, port, "$")) + "\n";
    if (part.has_port) {
        out += "    port: " + port + "\n";
        if (part.health && part.health->empty()) {
            out += "    health: {}    # up when the port answers; better a path: /healthz\n";
        } else if (part.health) {
            out += "    health: " + yaml_text(*part.health) +
                   (first ? "    # up when this answers 2xx or 3xx\n" : "\n");
        }
    }
    if (part.build) {
        out += "    build: " + render_build(*part.build) + "\n";
    } else if (!part.image.empty()) {
        out += "    image: " + yaml_text(part.image) + "\n";
    }
    if (part.has_port && part.container_port > 0) {
        out += "    container_port: " + std::to_string(part.container_port) + "\n";
    }
    if (part.has_port && !part.path.empty() && part.path != "/") {
        out += "    path: " + yaml_text(part.path) + "\n";
    }
    if (part.instances > 1) {
        out += "    instances: " + std::to_string(part.instances) + "\n";
    }
    if (!part.volumes.empty()) {
        out += "    volumes:\n";
        for (const auto& [name, target] : part.volumes) {
            out += "      " + name + ": " + yaml_text(target) + "\n";
        }
    }
    if (!part.env.empty()) {
        out += "    env:\n";
        for (const auto& [name, value] : part.env) {
            out += "      " + name + ": " + yaml_text(value) + "\n";
        }
    }
    return out;
}

std::string in_folder(const std::string& run, const std::string& folder) {
    return folder.empty() ? run : "cd " + folder + " && " + run;
}

std::string render_install(const Draft& draft) {
    if (draft.installs.empty()) {
        return {};
    }
    std::string run;
    std::vector<std::string> key, keep;
    for (const auto& step : draft.installs) {
        const auto command = in_folder(step.run, step.folder);
        const bool wrapped = draft.installs.size() > 1 && !step.folder.empty();
        run += (run.empty() ? "" : " && ") + (wrapped ? "(" + command + ")" : command);
        for (const auto& path : step.key) {
            key.push_back(join_path(step.folder, path));
        }
        for (const auto& path : step.keep) {
            keep.push_back(join_path(step.folder, path));
        }
    }
    std::string out =
        "\n# Runs once for each content of the key files; all previews share what it "
        "made.\n";
    for (const auto& text : draft.install_comments) {
        out += comment(text, "");
    }
    return out + "install:\n  run: " + yaml_text(run) + "\n  key: " + yaml_list(key) +
           "\n  keep: " + yaml_list(keep) + "\n";
}

std::string render_database(const Draft& draft) {
    if (draft.engine.empty()) {
        return "\n# No database found. With one, every preview gets its own:\n"
               "# database: { engine: postgres, template: shop_dev, url: DATABASE_URL }\n";
    }
    std::string out = "\n# Every preview gets a database of its own; the app finds it in " +
                      draft.database_url + ".\ndatabase:\n  engine: " + draft.engine + "\n";
    if (!draft.database_template.empty()) {
        out += "  template: " + yaml_text(draft.database_template) +
               "    # cloned with its rows; remove the line to start empty\n";
    } else if (draft.engine == "postgres") {
        out += "  # template: shop_dev    # a database to clone with its rows; without it: empty\n";
    }
    if (draft.engine == "sqlite") {
        out += "  file: " + yaml_text(draft.database_file) + "\n";
    }
    return out + "  url: " + draft.database_url + "\n";
}

std::string render_env(const Draft& draft) {
    if (draft.env.empty()) {
        return {};
    }
    std::string out =
        "\n# What the app reads from its environment, checked before anything "
        "starts.\n";
    if (std::ranges::any_of(draft.env, &EnvLine::secret)) {
        out +=
            "# Secrets have no value here: the server's file names files with them "
            "(secret_files).\n";
    }
    out += "env:\n";
    for (const auto& line : draft.env) {
        out += "  " + line.name + ":";
        if (line.secret) {
            out += " { secret: true, required: true }\n";
        } else if (line.value.empty()) {
            out += "\n";
        } else {
            out += " " + yaml_text(line.value) + "\n";
        }
    }
    return out;
}

}    // namespace

std::string render(const Draft& draft) {
    std::string out =
        "# How Seatrial runs a branch of this repository as a preview.\n"
        "# Check your changes with: seatrial check. Start one with: seatrial up\n"
        "app: " +
        yaml_text(draft.app) + "\n\n" +
        "# Each preview has its own ports: a command must listen on the variable it is given.\n"
        "# Components see each other as WEB_URL, API_URL, ...\ncomponents:\n";
    for (const auto& part : draft.parts) {
        out += render_part(part, &part == &draft.parts.front());
    }
    out += render_install(draft);
    if (!draft.migrate.empty()) {
        out +=
            "\n# Brings the preview's database to the branch's schema; runs before the "
            "components.\nmigrate: " +
            yaml_text(in_folder(draft.migrate, draft.migrate_folder)) + "\n";
    }
    return out + render_database(draft) + render_env(draft);
}

}    // namespace seatrial::config::init
