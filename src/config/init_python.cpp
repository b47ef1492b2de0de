#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "config/init_draft.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

struct Project {
    std::string folder;
    std::string manifest;     // lower-cased text of requirements and pyproject
    std::string pyproject;    // as written
    bool source_folder = false;
};

constexpr std::string_view python = ".venv/bin/python";
constexpr std::string_view make_venv = "python3 -m venv .venv && .venv/bin/python -m pip install ";

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::optional<Project> read_project(const Repository& repository, const std::string& folder) {
    Project out;
    out.folder = folder;
    bool found = repository.has_file(join_path(folder, "manage.py"));
    for (const std::string_view file :
         {"requirements.txt", "requirements/base.txt", "requirements/dev.txt", "pyproject.toml"}) {
        if (const auto text = repository.read(join_path(folder, file))) {
            out.manifest += lower(*text) + "\n";
            out.pyproject = file == "pyproject.toml" ? *text : out.pyproject;
            found = true;
        }
    }
    out.source_folder = repository.has_folder(join_path(folder, "src"));
    if (!found) {
        return std::nullopt;
    }
    return out;
}

// name = "shop" of [project], for pip uninstall.
std::string project_name(std::string_view pyproject) {
    const auto section = pyproject.find("[project]");
    const auto at = section == std::string_view::npos ? section : pyproject.find("\nname", section);
    if (at == std::string_view::npos) {
        return {};
    }
    const auto line = pyproject.substr(at + 1, pyproject.find('\n', at + 1) - at - 1);
    const auto open = line.find_first_of("\"'");
    const auto close = line.find_last_of("\"'");
    if (open == std::string_view::npos || close <= open) {
        return {};
    }
    const auto name = line.substr(open + 1, close - open - 1);
    const bool plain = std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
    });
    return plain && !name.starts_with('-') ? std::string(name) : std::string();
}

// The project itself is never installed: a copy, or a path to another tree, would be stale.
std::string add_install(const Repository& repository, const Project& project, Draft& draft) {
    InstallStep step;
    step.folder = project.folder;
    step.keep = {".venv"};
    const auto has = [&](std::string_view file) {
        return repository.has_file(join_path(project.folder, file));
    };
    std::string tool;
    if (has("uv.lock")) {
        tool = "uv";
        step.run = "UV_LINK_MODE=copy uv sync --frozen --no-install-project";
        step.key = {"uv.lock"};
    } else if (has("poetry.lock")) {
        tool = "poetry";
        step.run = "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction";
        step.key = {"poetry.lock"};
    } else if (has("requirements.txt")) {
        tool = "pip";
        step.run = std::string(make_venv) + "-r requirements.txt";
        step.key = {"requirements.txt"};
        const auto list =
            repository.read(join_path(project.folder, "requirements.txt")).value_or("");
        for (const auto line : split(list, '\n')) {
            const auto included = trim(line.starts_with("-r ") ? line.substr(3) : "");
            if (is_path_below(included) && has(clean_path(included))) {
                step.key.emplace_back(clean_path(included));
            }
        }
    } else if (has("pyproject.toml") &&
               project.pyproject.find("[tool.poetry]") != std::string::npos) {
        tool = "poetry";
        step.run = "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction";
        step.key = {"pyproject.toml"};
    } else if (project.pyproject.find("[project]") != std::string::npos) {
        tool = "pip";
        const auto name = project_name(project.pyproject);
        step.run = std::string(make_venv) + ".";
        step.run += name.empty() ? "" : " && .venv/bin/python -m pip uninstall --yes " + name;
        step.key = {"pyproject.toml"};
    } else {
        return "python3";    // nothing to install
    }
    draft.notes.push_back("Python project (" + tool + ")" +
                          (project.folder.empty() ? "" : " in " + project.folder));
    draft.installs.push_back(std::move(step));
    const std::string why =
        "A virtual environment is shared under another path than it was made at: its python works "
        "there, the scripts in .venv/bin do not. So run modules: .venv/bin/python -m ...";
    if (std::ranges::find(draft.install_comments, why) == draft.install_comments.end()) {
        draft.install_comments.push_back(why);
    }
    return std::string(python);
}

// "app/main.py" with "api = FastAPI(" -> module "app.main", object "api".
struct Entry {
    std::string file, module, object;
};
std::optional<Entry> find_entry(const Repository& repository, const std::string& folder,
                                std::string_view constructor) {
    std::vector<std::string> files;
    const auto add = [&](const std::string& base) {
        for (const std::string_view name :
             {"main.py", "app.py", "server.py", "api.py", "wsgi.py", "asgi.py", "__init__.py"}) {
            files.push_back(join_path(base, name));
        }
    };
    add("");
    for (const auto& name : repository.folders(folder)) {
        add(name);
        if (name == "src") {
            for (const auto& inner : repository.folders(join_path(folder, name))) {
                add(join_path(name, inner));
            }
        }
    }
    for (const auto& file : files) {
        const auto text = repository.read(join_path(folder, file));
        for (const auto line : split(text ? std::string_view(*text) : "", '\n')) {
            const auto equals = line.find('=');
            const auto at = line.find(constructor);
            if (at == std::string_view::npos || equals == std::string_view::npos || at < equals) {
                continue;
            }
            std::string module = file.substr(0, file.size() - 3);
            std::ranges::replace(module, '/', '.');
            if (module.ends_with("__init__")) {
                module.resize(module.size() == 8 ? 0 : module.size() - 9);
            }
            const auto object = trim(line.substr(0, std::min(equals, line.find(':'))));
            return Entry{file, module, is_variable_name(object) ? std::string(object) : ""};
        }
    }
    return std::nullopt;
}

std::string strip_source(Entry& entry) {
    constexpr std::string_view prefix = "src.";
    if (!entry.module.starts_with(prefix)) {
        return {};
    }
    entry.module.erase(0, prefix.size());
    return "src";
}

void add_part(const Project& project, std::string name, std::string run, std::string health,
              const std::string& source, Draft& draft) {
    Part part;
    part.name = std::move(name);
    part.run = std::move(run);
    part.folder = project.folder;
    part.health = std::move(health);
    if (!source.empty()) {
        part.env = {{"PYTHONPATH", source}};
    }
    draft.parts.push_back(std::move(part));
}

bool add_django(const Repository& repository, const Project& project, const std::string& run,
                Draft& draft) {
    if (!repository.has_file(join_path(project.folder, "manage.py"))) {
        return false;
    }
    add_part(project, draft.parts.empty() ? "web" : "api",
             run + " manage.py runserver --noreload 127.0.0.1:{port}", "", "", draft);
    draft.set_migrate(run + " manage.py migrate --noinput", project.folder);
    draft.notes.emplace_back("Django");
    for (const auto& name : repository.folders(project.folder)) {
        const auto base = join_path(project.folder, name);
        const auto settings = repository.read(join_path(base, "settings.py")).value_or("") +
                              repository.read(join_path(base, "settings/base.py")).value_or("");
        if (settings.find("backends.postgresql") != std::string::npos) {
            draft.set_engine("postgres");
        } else if (settings.find("backends.sqlite3") != std::string::npos) {
            draft.set_engine("sqlite");
            draft.database_file = draft.database_file.empty()
                                      ? join_path(project.folder, "db.sqlite3")
                                      : draft.database_file;
        }
        if (settings.find("backends.postgresql") != std::string::npos &&
            settings.find("DATABASE_URL") == std::string::npos) {
            draft.questions.emplace_back(
                "the Django settings must read DATABASE_URL (dj-database-url does that)");
        }
    }
    return true;
}

void add_web_part(const Repository& repository, const Project& project, const std::string& run,
                  Draft& draft) {
    auto entry = find_entry(repository, project.folder, "FastAPI(");
    if (!entry && mentions(project.manifest, "starlette")) {
        entry = find_entry(repository, project.folder, "Starlette(");
    }
    if (entry) {
        const auto health =
            health_route(repository.read(join_path(project.folder, entry->file)).value_or(""));
        const auto source = strip_source(*entry);
        const std::string object = entry->object.empty() ? "app" : entry->object;
        draft.notes.emplace_back("FastAPI");
        add_part(
            project, "api",
            run + " -m uvicorn " + entry->module + ":" + object + " --host 127.0.0.1 --port {port}",
            health, source, draft);
        return;
    }
    entry = find_entry(repository, project.folder, "Flask(");
    if (!entry) {
        return;
    }
    const auto health =
        health_route(repository.read(join_path(project.folder, entry->file)).value_or(""));
    const auto source = strip_source(*entry);
    const std::string flask = run + " -m flask --app " + entry->module;
    draft.notes.emplace_back("Flask");
    add_part(project, draft.parts.empty() ? "web" : "api",
             flask + " run --host 127.0.0.1 --port {port}", health, source, draft);
    if (mentions(project.manifest, "flask-migrate")) {
        draft.set_migrate(flask + " db upgrade", project.folder);
    }
}

void inspect_project(const Repository& repository, const Project& project, Draft& draft) {
    const auto run = add_install(repository, project, draft);
    if (!add_django(repository, project, run, draft)) {
        add_web_part(repository, project, run, draft);
    }
    if (repository.has_file(join_path(project.folder, "alembic.ini"))) {
        draft.set_migrate(run + " -m alembic upgrade head", project.folder);
    }
    for (const std::string_view driver :
         {"psycopg", "psycopg2", "psycopg2-binary", "psycopg[binary]", "asyncpg", "pg8000"}) {
        if (mentions(project.manifest, driver)) {
            draft.set_engine("postgres");
        }
    }
    for (const std::string_view driver : {"mysqlclient", "pymysql", "pymongo", "motor"}) {
        if (mentions(project.manifest, driver)) {
            draft.questions.push_back(std::string(driver) +
                                      " is used: previews would share that database; give its "
                                      "URL under env");
        }
    }
    if (mentions(project.manifest, "celery")) {
        draft.questions.emplace_back("Celery is used: add a component 'worker' for it");
    }
}

}    // namespace

void inspect_python(const Repository& repository, Draft& draft) {
    std::vector<std::string> folders = {""};
    for (const auto& name : repository.folders("")) {
        folders.push_back(name);
        if (name == "apps" || name == "services" || name == "packages") {
            for (const auto& inner : repository.folders(name)) {
                folders.push_back(join_path(name, inner));
            }
        }
    }
    constexpr std::string_view beside[] = {"docs", "examples", "tests", "scripts", "tools"};
    for (const auto& folder : folders) {
        if (std::ranges::find(beside, folder) != std::end(beside)) {
            continue;
        }
        if (const auto project = read_project(repository, folder)) {
            const auto before = draft.parts.size();
            inspect_project(repository, *project, draft);
            if (folder.empty() && draft.parts.size() > before) {
                return;    // what lies below belongs to it
            }
        }
    }
}

}    // namespace seatrial::config::init
