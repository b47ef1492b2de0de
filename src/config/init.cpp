#include "config/init.h"

#include <algorithm>

#include "base/names.h"
#include "base/text.h"
#include "config/config.h"
#include "config/init_draft.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

using init::Draft;
using init::Part;
using init::Repository;

constexpr std::size_t part_limit = 20;
constexpr std::size_t name_limit = 32;

void inspect_static(const Repository& repository, Draft& draft) {
    for (const std::string folder : {"", "public", "site", "www", "docs"}) {
        if (!draft.parts.empty() || !repository.has_file(init::join_path(folder, "index.html"))) {
            continue;
        }
        Part part;
        part.name = "web";
        part.run = "python3 -m http.server --bind 127.0.0.1 {port}";
        part.folder = folder;
        part.health = "/";
        draft.parts.push_back(std::move(part));
        draft.notes.emplace_back("a static site");
    }
}

void add_placeholder(Draft& draft) {
    if (!draft.parts.empty()) {
        return;
    }
    Part part;
    part.name = "web";
    part.comment = "Nothing here told how the app starts: write its command.";
    part.run = "echo 'seatrial.yaml does not say yet how web starts' >&2; exit 1";
    draft.parts.push_back(std::move(part));
    draft.questions.emplace_back("how does the app start? Set components.web.run");
}

// Names must be fit for a component and differ from each other.
void name_parts(Draft& draft) {
    if (draft.parts.size() > part_limit) {
        draft.parts.resize(part_limit);
        draft.questions.emplace_back("only the first 20 components were written");
    }
    std::vector<std::string> taken;
    for (auto& part : draft.parts) {
        std::string name = slug(part.name, name_limit - 3);
        name = is_short_name(name, name_limit) ? name : "app-" + slug(name, name_limit - 7);
        std::string unique = name;
        for (int number = 2; std::ranges::find(taken, unique) != taken.end(); ++number) {
            unique = name + "-" + std::to_string(number);
        }
        taken.push_back(unique);
        part.name = unique;
    }
}

void settle_database(const Repository& repository, Draft& draft) {
    if (draft.engine == "sqlite") {
        draft.database_template.clear();
        if (!is_path_below(draft.database_file)) {
            draft.database_file = "data/preview.db";
            draft.questions.emplace_back(
                "where does the app expect its SQLite file? Assumed "
                "database.file: data/preview.db");
        } else if (repository.has_file(draft.database_file)) {
            draft.database_template = draft.database_file;
        }
    } else if (draft.engine == "postgres" && !draft.database_template.empty()) {
        draft.questions.push_back("previews clone the PostgreSQL database '" +
                                  draft.database_template +
                                  "': if it is not on your server, remove database.template");
    }
    if (!draft.engine.empty() && draft.migrate.empty()) {
        draft.questions.emplace_back(
            "no migration command was found: add migrate, if there is one");
    }
    const auto secrets = std::ranges::count_if(draft.env, &init::EnvLine::secret);
    if (secrets > 0) {
        draft.questions.push_back(std::to_string(secrets) +
                                  " secrets need values: name a file with them under secret_files");
    }
}

std::string app_name(const Draft& draft, const std::filesystem::path& root) {
    std::string name = draft.app.substr(draft.app.rfind('/') + 1);    // "@scope/shop"
    if (name.empty() || !check_label("app", name, name_limit)) {
        std::error_code error;
        name = std::filesystem::weakly_canonical(root, error).filename().string();
    }
    return slug(name, name_limit);
}

}    // namespace

Result<Findings> inspect_repository(const std::filesystem::path& root) {
    std::error_code error;
    if (!std::filesystem::is_directory(root, error)) {
        return fail(Code::not_found, root.string() + " is not a folder",
                    "run this in the root of a repository");
    }
    const Repository repository(root);
    Draft draft;
    inspect_node(repository, draft);
    inspect_python(repository, draft);
    if (draft.parts.empty()) {
        inspect_procfile(repository, draft);
    }
    take_over(repository, draft);
    inspect_static(repository, draft);
    add_placeholder(draft);
    name_parts(draft);
    inspect_compose(repository, draft);
    inspect_env_example(repository, draft);
    settle_database(repository, draft);
    draft.app = app_name(draft, root);

    Findings out;
    out.yaml = init::render(draft);
    for (const auto& note : draft.notes) {
        out.notes.push_back(printable(note));
    }
    for (const auto& question : draft.questions) {
        out.questions.push_back(printable(question));
    }
    // The promise of init.h, kept here too: a file that does not parse is our own fault.
    const auto parsed = parse_app(out.yaml, "seatrial.yaml", false);
    if (!parsed.ok()) {
        return wrap(faults_to_error(parsed.faults), "the file made from this repository is faulty");
    }
    out.server_yaml = init::render_server(draft);
    const auto server = parse_server(out.server_yaml, "server.yaml", false);
    if (!out.server_yaml.empty() && !server.ok()) {
        return wrap(faults_to_error(server.faults),
                    "the server's file made from this repository is faulty");
    }
    return out;
}

}    // namespace seatrial::config
