#include "preview/facts.h"

#include <thread>

#include "base/names.h"
#include "base/text.h"
#include "config/env_file.h"
#include "crypto/crypto.h"
#include "resource/postgres_template.h"

namespace seatrial::preview {
namespace {

constexpr std::chrono::seconds fork_patience{10};

Status find_template(Spec& spec, const config::App& app, const Parts& parts, const Context& ctx) {
    spec.template_name.clear();
    if (app.database.engine != config::DatabaseEngine::postgres || spec.empty_database ||
        app.database.source.empty()) {
        return {};
    }
    const std::string& place = parts.layout.database_place;
    TRY_ASSIGN(const std::string schema,
               resource::schema_hash(parts.servers, place, app.database.source, ctx));
    TRY_ASSIGN(const auto refresh, parts.records.meta("template:" + app.database.source));
    spec.template_name = make_name(
        parts.instance, "tmpl-" + app.database.source,
        crypto::sha256_hex(app.database.source + "\n" + schema + "\n" + refresh.value_or("0")));
    return {};
}

Status find_tree_env(Spec& spec, const config::App& app, const Parts& parts, const Context& ctx) {
    spec.tree_env.clear();
    for (const auto& file : app.env_files) {
        auto text = mirror_of(parts, spec).read_blob(spec.commit, file, ctx);
        if (!text) {
            if (text.error().code == Code::not_found) {
                return fail(
                    Code::invalid,
                    "env file " + printable(file) + " is not in commit " +
                        spec.commit.substr(0, 12),
                    "commit it, or name it under secret_files in the server's file instead");
            }
            return tl::unexpected(std::move(text).error());
        }
        const auto parsed = config::parse_env_file(*text, file);
        if (!parsed.ok()) {
            return tl::unexpected(config::faults_to_error(parsed.faults));
        }
        for (const auto& [name, entry] : parsed.value) {
            // Literal: a dollar in a file is a dollar.
            std::string escaped;
            for (const char c : entry.value) {
                escaped += c == '$' ? "$$" : std::string(1, c);
            }
            spec.tree_env[name] = std::move(escaped);
        }
    }
    return {};
}

// The app's env schema against all values that will be there; secrets are named, never shown.
Status check_environment(const Spec& spec, const config::App& app) {
    std::map<std::string, std::string> values = spec.tree_env;
    for (const auto& file : spec.env_files) {
        auto text = read_file(file, 1 << 20);
        if (!text) {
            return wrap(std::move(text).error(), "the server's env file cannot be read");
        }
        const auto parsed = config::parse_env_file(*text, file);
        if (!parsed.ok()) {
            return tl::unexpected(config::faults_to_error(parsed.faults));
        }
        for (const auto& [name, entry] : parsed.value) {
            values[name] = entry.value;
        }
    }
    for (const auto& [name, value] : spec.environment_env) {
        values[name] = value;
    }
    for (const auto& rule : app.env) {
        if (rule.value) {
            values[rule.name] = *rule.value;
        }
    }
    for (const auto& component : app.components) {
        for (const auto& [name, value] : component.env) {
            values[name] = value;
        }
    }
    if (app.database.engine != config::DatabaseEngine::none) {
        values.try_emplace(app.database.url, "postgresql://localhost/preview");
    }
    const auto faults = config::check_env(app.env, values);
    for (const auto& fault : faults) {
        if (!fault.warning) {
            return tl::unexpected(config::faults_to_error(faults));
        }
    }
    return {};
}

// Only a caller who stands in the repository knows it without asking. Never needed to be known.
void find_fork(Spec& spec, const Parts& parts, const Context& ctx) {
    if (!spec.fork.empty() || spec.branch.empty() || spec.base_branch.empty() ||
        spec.base_branch == spec.branch) {
        return;
    }
    const Context patience = ctx.with_timeout(fork_patience);
    spec.fork =
        mirror_of(parts, spec).fetch(source_of(spec), spec.base_branch, patience).value_or("");
}

}    // namespace

Result<Provider*> provider_of(const Parts& parts, const Spec& spec) {
    const auto found = parts.providers.find(spec.provider);
    if (found == parts.providers.end()) {
        return fail(Code::invalid, "there is no provider " + printable(spec.provider) + " here",
                    "start the newer seatrial that made this preview");
    }
    return found->second.get();
}

git::Mirror mirror_of(const Parts& parts, const Spec& spec) {
    return git::Mirror(parts.layout.data / "mirrors" / spec.mirror);
}

Status find_facts(Spec& spec, const config::App& app, const Parts& parts, const Context& ctx) {
    TRY(find_tree_env(spec, app, parts, ctx));
    TRY(check_environment(spec, app));
    const auto provider = provider_of(parts, spec);
    TRY(provider);
    Status schema;    // both write fields of the spec that nothing else here reads
    Status tree;
    {
        const std::jthread other([&] { schema = find_template(spec, app, parts, ctx); });
        tree = (*provider)->find_facts(spec, app, ctx);
        find_fork(spec, parts, ctx);
    }
    TRY(tree);
    return schema;
}

}    // namespace seatrial::preview
