#include <algorithm>

#include "base/text.h"
#include "config/init_node.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

struct Library {
    std::string_view dependency;
    std::string_view engine;    // "" = one that previews cannot have for themselves
};
constexpr Library libraries[] = {
    {"pg", "postgres"},
    {"postgres", "postgres"},
    {"pg-promise", "postgres"},
    {"@vercel/postgres", "postgres"},
    {"better-sqlite3", "sqlite"},
    {"sqlite3", "sqlite"},
    {"mysql2", ""},
    {"mysql", ""},
    {"mongodb", ""},
    {"mongoose", ""},
};

struct Tool {
    std::string_view dependency;
    std::string_view command;    // behind the package manager's exec
};
constexpr Tool tools[] = {
    {"prisma", "prisma migrate deploy"},       {"drizzle-kit", "drizzle-kit migrate"},
    {"knex", "knex migrate:latest"},           {"sequelize-cli", "sequelize-cli db:migrate"},
    {"node-pg-migrate", "node-pg-migrate up"},
};

constexpr std::string_view scripts[] = {"db:migrate:deploy", "migrate:deploy", "db:deploy",
                                        "db:migrate",        "migrate",        "migrate:latest",
                                        "migration:run",     "migrations:run", "migrate:up"};

// The text in quotes behind `word` in a Prisma schema: provider = "sqlite".
std::string quoted_after(std::string_view text, std::string_view word) {
    const auto at = text.find(word);
    const auto open = at == std::string_view::npos ? at : text.find('"', at);
    const auto close = open == std::string_view::npos ? open : text.find('"', open + 1);
    return close == std::string_view::npos ? ""
                                           : std::string(text.substr(open + 1, close - open - 1));
}

void inspect_prisma(const Repository& repository, const Package& package, Draft& draft) {
    const auto schema = repository.read(join_path(package.folder, "prisma/schema.prisma"));
    if (!schema) {
        return;
    }
    const std::string_view text = *schema;
    const auto source = text.substr(std::min(text.size(), text.find("datasource")));
    const auto provider = quoted_after(source, "provider");
    const auto url = quoted_after(source, "url");
    const bool variable = source.find("env(\"" + url + "\")") != std::string_view::npos;
    if (variable && is_variable_name(url)) {
        draft.database_url = url;
    }
    if (provider == "postgresql" || provider == "postgres") {
        draft.set_engine("postgres");
    } else if (provider == "sqlite") {
        draft.set_engine("sqlite");
        constexpr std::string_view scheme = "file:";
        if (!variable && url.starts_with(scheme)) {
            draft.database_file =
                join_path(join_path(package.folder, "prisma"),
                          clean_path(std::string_view(url).substr(scheme.size())));
        }
    } else if (!provider.empty()) {
        draft.questions.push_back("Prisma uses " + printable(provider) +
                                  ": previews would share one; give its URL under env");
    }
}

// The user's own script knows more than we do, unless it asks questions.
std::string migrate_command(const Repository& repository, const Package& package,
                            const PackageManager& manager) {
    for (const auto name : scripts) {
        const auto found = package.scripts.find(std::string(name));
        if (found != package.scripts.end() &&
            found->second.find("migrate dev") == std::string::npos) {
            return std::string(manager.run) + " " + std::string(name);
        }
    }
    for (const auto& tool : tools) {
        if (!package.dependencies.contains(std::string(tool.dependency))) {
            continue;
        }
        std::string command(tool.command);
        if (tool.dependency == "prisma" &&
            !repository.has_folder(join_path(package.folder, "prisma/migrations"))) {
            if (!repository.has_file(join_path(package.folder, "prisma/schema.prisma"))) {
                continue;
            }
            command = "prisma db push --skip-generate";
        }
        return std::string(manager.exec) + " " + command;
    }
    return {};
}

}    // namespace

void inspect_database(const Repository& repository, const Package& package,
                      const PackageManager& manager, Draft& draft) {
    inspect_prisma(repository, package, draft);
    for (const auto& library : libraries) {
        if (!package.dependencies.contains(std::string(library.dependency))) {
            continue;
        }
        if (library.engine.empty()) {
            draft.questions.push_back(std::string(library.dependency) +
                                      " is used: previews would share that database; give its "
                                      "URL under env");
        } else {
            draft.set_engine(library.engine);
        }
    }
    if (auto command = migrate_command(repository, package, manager); !command.empty()) {
        draft.set_migrate(std::move(command), package.folder);
    }
}

}    // namespace seatrial::config::init
