#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "config/compose.h"
#include "config/env_file.h"
#include "config/init_draft.h"
#include "config/secret_text.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

constexpr std::size_t env_limit = 200;

// Images by the start of their name, registry and folder left out.
struct Service {
    std::string_view image;
    std::string_view kind;    // "postgres", else what previews would share
};
constexpr Service services[] = {
    {"postgres", "postgres"},
    {"postgis", "postgres"},
    {"pgvector", "postgres"},
    {"timescaledb", "postgres"},
    {"mysql", "MySQL"},
    {"mariadb", "MariaDB"},
    {"mongo", "MongoDB"},
    {"redis", "Redis"},
    {"valkey", "Valkey"},
    {"rabbitmq", "RabbitMQ"},
    {"kafka", "Kafka"},
    {"minio", "MinIO"},
    {"elasticsearch", "Elasticsearch"},
};

std::string upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return out;
}

bool is_database_name(std::string_view name) {
    return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-';
    });
}

// "postgres://u:p@host:5432/shop_dev?x" -> "shop_dev".
std::string database_of_url(std::string_view url) {
    const auto scheme = url.find("://");
    const auto slash = scheme == std::string_view::npos ? scheme : url.find('/', scheme + 3);
    if (!url.starts_with("postgres") || slash == std::string_view::npos) {
        return {};
    }
    const auto name = url.substr(slash + 1, url.find_first_of("?#", slash) - slash - 1);
    return is_database_name(name) ? std::string(name) : std::string();
}

// What Seatrial sets itself.
bool is_given(std::string_view name, const Draft& draft) {
    if (name == "PORT" || name.starts_with("PREVIEW_") ||
        (name == draft.database_url && !draft.engine.empty())) {
        return true;
    }
    constexpr std::string_view connection[] = {"PGHOST",
                                               "PGPORT",
                                               "PGUSER",
                                               "PGPASSWORD",
                                               "PGDATABASE",
                                               "POSTGRES_USER",
                                               "POSTGRES_PASSWORD",
                                               "POSTGRES_DB",
                                               "POSTGRES_HOST",
                                               "POSTGRES_PORT"};
    if (std::ranges::find(connection, name) != std::end(connection)) {
        return draft.engine == "postgres";
    }
    return std::ranges::any_of(draft.parts, [&](const Part& part) {
        const auto prefix = variable_prefix(part.name);
        return part.has_port && (name == prefix + "_PORT" || name == prefix + "_URL");
    });
}

bool is_local_url(std::string_view value) {
    return value.starts_with("http://localhost") || value.starts_with("http://127.0.0.1");
}

// NEXT_PUBLIC_API_URL=http://localhost:4000/v1 speaks of component api.
std::string templated_url(std::string_view name, std::string_view value, const Draft& draft) {
    const auto path = value.find('/', std::string_view("http://").size());
    const std::string tail(path == std::string_view::npos || path + 1 == value.size()
                               ? std::string_view{}
                               : value.substr(path));
    std::string target;
    for (const auto& part : draft.parts) {
        const auto prefix = variable_prefix(part.name);
        if (part.has_port && (("_" + upper(name)).find("_" + prefix + "_") != std::string::npos ||
                              (target.empty() && part.name == "web"))) {
            target = prefix;
        }
    }
    const bool plain = tail.find('$') == std::string::npos;
    return target.empty() || !plain ? "" : "${" + target + "_URL}" + tail;
}

void add_env(const std::string& name, const std::string& value, Draft& draft) {
    if (value.starts_with("file:") && name == draft.database_url && draft.engine == "sqlite" &&
        draft.database_file.empty()) {
        const auto file = clean_path(std::string_view(value).substr(5));
        draft.database_file = is_path_below(file) ? std::string(file) : "";
    }
    if (const auto database = database_of_url(value); !database.empty()) {
        draft.set_engine("postgres");
        if (name == "DATABASE_URL" || draft.database_template.empty()) {
            draft.database_template = database;
        }
    }
    if (is_given(name, draft) || draft.env.size() >= env_limit) {
        return;
    }
    EnvLine line{name, value, false, false};
    if (name_is_secret(name) || value_is_secret(value)) {
        line.secret = true;
        line.value.clear();
    } else if (is_local_url(value)) {
        line.value = templated_url(name, value, draft);
        if (line.value.empty()) {
            draft.questions.push_back(name +
                                      " names a fixed local address in the example file; "
                                      "what should it be in a preview?");
        }
    } else if (value.find_first_of("<>$\n") != std::string::npos ||
               upper(value).find("YOUR") != std::string::npos ||
               upper(value).find("CHANGE") != std::string::npos) {
        line.value.clear();    // a placeholder
    }
    line.required = line.secret;
    draft.env.push_back(std::move(line));
}

}    // namespace

void inspect_procfile(const Repository& repository, Draft& draft) {
    const auto text = repository.read("Procfile");
    for (const auto line : split(text ? std::string_view(*text) : "", '\n')) {
        const auto colon = line.find(':');
        const auto name = trim(line.substr(0, colon));
        if (colon == std::string_view::npos || !is_short_name(name, 32) || name == "release" ||
            draft.parts.size() >= 20) {
            continue;
        }
        Part part;
        part.name = name;
        part.run = trim(line.substr(colon + 1));
        part.has_port = name == "web";
        part.health = part.has_port ? std::optional<std::string>("") : std::nullopt;
        part.comment = "From the Procfile.";
        if (!part.run.empty()) {
            draft.parts.push_back(std::move(part));
        }
    }
}

std::string_view shared_service(std::string_view image) {
    const auto name = image.substr(0, image.find_first_of("@:", image.find_last_of('/') + 1));
    const auto base = name.substr(name.find_last_of('/') + 1);
    const auto* const known = std::ranges::find_if(
        services, [&](const Service& item) { return base.starts_with(item.image); });
    return known == std::end(services) ? std::string_view{} : known->kind;
}

std::string compose_file(const Repository& repository) {
    return repository.first_file(
        "", {"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"});
}

void inspect_compose(const Repository& repository, Draft& draft) {
    const auto file = compose_file(repository);
    const auto text = file.empty() ? std::nullopt : repository.read(file);
    if (!text) {
        return;
    }
    const auto compose = read_compose(*text, file);
    if (!compose.readable) {
        draft.questions.push_back(file + " cannot be read and was left out");
        return;
    }
    for (const auto& service : compose.services) {
        const auto kind = shared_service(service.image);
        if (kind.empty()) {
            continue;
        }
        if (kind != "postgres") {
            draft.questions.push_back(std::string(kind) + " (in " + file +
                                      "): previews would share one; give its URL under env");
            continue;
        }
        draft.set_engine("postgres");
        draft.notes.push_back("PostgreSQL (in " + file + ")");
        const auto database = service.environment.find("POSTGRES_DB");
        if (database != service.environment.end() && is_database_name(database->second)) {
            draft.database_template = database->second;
        }
    }
}

void inspect_env_example(const Repository& repository, Draft& draft) {
    std::vector<std::string> folders = {""};
    for (const auto& part : draft.parts) {
        if (std::ranges::find(folders, part.folder) == folders.end()) {
            folders.push_back(part.folder);
        }
    }
    for (const auto& folder : folders) {
        const auto name = repository.first_file(
            folder, {".env.example", ".env.sample", ".env.template", ".env.dist", "env.example"});
        const auto text = name.empty() ? std::nullopt : repository.read(join_path(folder, name));
        if (!text) {
            continue;
        }
        const auto parsed = parse_env_file(*text, name);
        draft.notes.push_back(join_path(folder, name) + " with " +
                              std::to_string(parsed.value.size()) + " variables");
        // In the order of the file.
        std::vector<std::pair<int, std::string>> order;
        for (const auto& [variable, entry] : parsed.value) {
            order.emplace_back(entry.line, variable);
        }
        std::ranges::sort(order);
        for (const auto& [line, variable] : order) {
            if (std::ranges::find(draft.env, variable, &EnvLine::name) == draft.env.end()) {
                add_env(variable, parsed.value.at(variable).value, draft);
            }
        }
    }
}

}    // namespace seatrial::config::init
