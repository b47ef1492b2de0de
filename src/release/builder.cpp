#include "release/builder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/names.h"
#include "base/text.h"
#include "config/values.h"
#include "crypto/crypto.h"
#include "docker/images.h"
#include "release/compatibility.h"
#include "release/variables.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

constexpr int releases_looked_at = 200;
constexpr std::size_t short_commit = 7;
constexpr std::size_t check_files_limit = 128 << 10;    // rows are read by the hundred

// Letters, digits, dots, dashes: what may stand in a tag.
bool is_version(std::string_view text) {
    return !text.empty() && text.size() <= 64 && text.front() != '.' && text.front() != '-' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_';
           });
}

std::string blob(const git::Mirror& mirror, const std::string& commit, const std::string& path,
                 const Context& ctx) {
    return mirror.read_blob(commit, path, ctx).value_or("");
}

// What the checks of a release send, from its commit.
Result<std::map<std::string, std::string>> read_check_files(
    const git::Mirror& mirror, const std::string& commit,
    const std::vector<config::ReleaseCheck>& checks, const Context& ctx) {
    std::map<std::string, std::string> out;
    std::size_t size = 0;
    for (std::size_t i = 0; i < checks.size(); ++i) {
        const std::string& path = checks[i].file;
        if (path.empty() || out.contains(path)) {
            continue;
        }
        const std::string field = "release.checks[" + std::to_string(i) + "].file: ";
        auto bytes = mirror.read_blob(commit, path, ctx);
        if (!bytes) {
            const Error& error = bytes.error();
            return error.code == Code::unavailable
                       ? tl::unexpected(error)
                       : fail(Code::invalid, field + error.message, "commit a file of that path");
        }
        size += bytes->size();
        if (size > check_files_limit) {
            return fail(Code::invalid,
                        field + "with " + path + " the files of all checks are over 128 KB",
                        "use a smaller sample");
        }
        out[path] = std::move(*bytes);
    }
    return out;
}

Result<std::optional<Release>> find_built(store::Records& records, docker::Engine& engine,
                                          const BuildRequest& request, const std::string& hash,
                                          const Context& ctx) {
    TRY_ASSIGN(const auto rows, records.releases(request.app.name, releases_looked_at));
    for (const auto& row : rows) {
        TRY_ASSIGN(Release release, release_of(row));
        if (release.commit != request.commit || release.config_hash != hash ||
            !release.rejected.empty()) {
            continue;
        }
        TRY_ASSIGN(const bool there, has_images(engine, release, ctx));
        if (there) {
            return release;
        }
    }
    return std::nullopt;
}

}    // namespace

Result<bool> has_images(docker::Engine& engine, const Release& release, const Context& ctx) {
    for (const auto& [name, artefact] : release.components) {
        const auto image = docker::inspect_image(engine, artefact.image, ctx);
        if (!image && image.error().code != Code::not_found) {
            return tl::unexpected(image.error());
        }
        if (!image) {
            return false;
        }
    }
    return true;
}

Result<Release> release_of(const store::Release& row) {
    try {
        const json in = json::parse(row.data);
        Release out;
        out.id = row.id;
        out.app = row.app;
        out.at = row.at;
        out.rejected = row.rejected;
        out.commit = in.at("commit");
        out.branch = in.at("branch");
        out.version = in.at("version");
        out.tag = in.at("tag");
        out.app_text = in.at("app_text");
        out.actor = in.at("actor");
        out.config_hash = in.at("config_hash");
        for (const auto& [name, part] : in.at("components").items()) {
            out.components[name] = {part.at("image"), part.at("name"), part.value("kind", "image"),
                                    part.value("version", "")};
        }
        out.values = in.value("values", out.values);
        out.sql = sql_of(in.value("sql", json::array()));
        const json files = in.value("files", json::object());
        for (const auto& [path, text] : files.items()) {
            out.files[path] = crypto::parse_base64url(text.get<std::string>()).value_or("");
        }
        out.compatibility = in.value("compatibility", out.compatibility);
        return out;
    } catch (const json::exception& error) {
        return fail(Code::invalid, "release " + row.id + " cannot be read: " + error.what());
    }
}

std::string render_release(const Release& release) {
    json components = json::object();
    for (const auto& [name, part] : release.components) {
        components[name] = {{"image", part.image},
                            {"name", part.name},
                            {"kind", part.kind},
                            {"version", part.version}};
    }
    json files = json::object();
    for (const auto& [path, bytes] : release.files) {
        files[path] = crypto::base64url(bytes);
    }
    return json{{"commit", release.commit},
                {"branch", release.branch},
                {"version", release.version},
                {"tag", release.tag},
                {"app_text", release.app_text},
                {"actor", release.actor},
                {"config_hash", release.config_hash},
                {"components", components},
                {"values", release.values},
                {"sql", sql_json(release.sql)},
                {"files", files},
                {"compatibility", release.compatibility}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string make_id() {
    return make_ulid(now_utc().time_since_epoch().count(), crypto::random_u64(),
                     crypto::random_u64());
}

std::string make_tag(const std::string& version, const std::string& commit) {
    return version + "-" + commit.substr(0, short_commit);
}

std::string version_in(const std::string& package_json, const std::string& pyproject) {
    const json package = json::parse(package_json, nullptr, false);
    if (package.is_object() && package.contains("version") && package["version"].is_string() &&
        is_version(package["version"].get<std::string>())) {
        return package["version"];
    }
    // `version = "1.2.3"` in [project] or [tool.poetry]; no other line of these tables looks so.
    bool in_project = false;
    for (const std::string_view raw : split(pyproject, '\n')) {
        const std::string_view line = trim(raw);
        if (line.starts_with('[')) {
            in_project = line == "[project]" || line == "[tool.poetry]";
        }
        if (!in_project || !line.starts_with("version")) {
            continue;
        }
        const std::size_t open = line.find_first_of("\"'");
        const std::size_t close =
            open == std::string_view::npos ? open : line.find(line[open], open + 1);
        if (close != std::string_view::npos && trim(line.substr(7, open - 7)) == "=") {
            const std::string_view version = line.substr(open + 1, close - open - 1);
            return is_version(version) ? std::string(version) : "";
        }
    }
    return "";
}

Result<Release> build(store::Records& records, docker::Engine& engine, const git::Mirror& mirror,
                      const BuildRequest& request, const OnLine& on_line, const Context& ctx) {
    std::vector<const config::Component*> parts;
    for (const auto& part : request.app.components) {
        if (part.is_released()) {
            parts.push_back(&part);
        }
    }
    if (parts.empty()) {
        return fail(Code::invalid, "no component of " + request.app.name + " can be released",
                    "give a component `build: .` (with a Dockerfile) or `image:`");
    }
    Release out;
    out.values = request.values;
    out.config_hash = crypto::sha256_hex(
        request.app_text + (out.values.empty() ? "" : "\n" + json(out.values).dump()));
    TRY_ASSIGN(auto built, find_built(records, engine, request, out.config_hash, ctx));
    if (built) {
        return std::move(*built);
    }
    out.app = request.app.name;
    out.commit = request.commit;
    out.branch = request.branch;
    out.app_text = request.app_text;
    out.actor = request.actor;
    out.version = version_in(blob(mirror, request.commit, "package.json", ctx),
                             blob(mirror, request.commit, "pyproject.toml", ctx));
    if (out.version.empty()) {
        out.version = "0.0.0";
    }
    out.tag = make_tag(out.version, request.commit);
    const Versions versions = versions_of(mirror, request.commit, parts, out.version, ctx);
    out.compatibility = request.app.release_compatibility;
    TRY(check_own(versions, out.compatibility));
    if (const auto& step = request.app.release_migrate) {
        TRY_ASSIGN(out.sql, read_sql(mirror, request.commit, step->sql, ctx));
    }
    TRY_ASSIGN(out.files,
               read_check_files(mirror, request.commit, request.app.release_checks, ctx));
    TRY_ASSIGN(out.components,
               make_artefacts(engine, mirror,
                              {out.app, out.commit, out.tag, parts, request.values, request.means},
                              on_line, ctx));
    for (auto& [name, artefact] : out.components) {
        artefact.version = versions.at(name);
    }
    out.at = now_utc();
    out.id = request.id;
    TRY(records.write(sql::Durability::full, [&](store::Writer& writer) -> Status {
        TRY_ASSIGN(const auto there, writer.release(out.id));
        if (there) {
            return fail(Code::conflict, "there is a release of the id " + out.id + " already");
        }
        return writer.put_release({out.id, out.app, out.at, "", render_release(out)});
    }));
    return out;
}

namespace {

// How components find each other, by the names of previews.
void add_addresses(const config::App& app, std::map<std::string, std::string>& out) {
    for (const auto& part : app.components) {
        if (!part.port.empty()) {
            const std::string prefix = config::variable_prefix(part.name);
            const std::string port = std::to_string(container_port_of(part));
            const std::string url = "http://" + part.name + ":" + port;
            out[prefix + "_PORT"] = port;
            out[prefix + "_URL"] = url;
            out[prefix + "_INTERNAL_URL"] = url;
        }
    }
}

Migration migration_of(const config::ReleaseMigrate& step, const std::string& first_component) {
    Migration out;
    out.argv = step.run.to_argv();
    out.component = step.component.empty() ? first_component : step.component;
    out.timeout = step.timeout;
    out.contract = step.contract;
    out.snapshot = step.snapshot;
    if (!step.down.empty()) {
        out.down = step.down.to_argv();
    }
    return out;
}

// A template is of previews: it names their ports and URLs.
std::map<std::string, std::string> defaults_of(const config::App& app, const std::string& part) {
    std::map<std::string, std::string> out;
    for (const auto& rule : app.env) {
        const bool reads = rule.components.empty() ||
                           std::ranges::find(rule.components, part) != rule.components.end();
        if (rule.value && !rule.build && reads && rule.value->find('$') == std::string::npos) {
            out[rule.name] = *rule.value;
        }
    }
    add_addresses(app, out);
    return out;
}

}    // namespace

Content make_content(const Release& release, const config::App& app,
                     const config::Environment& environment) {
    Content out;
    out.release = release.id;
    out.tag = release.tag;
    out.env_files = environment.release.env_files;
    out.networks = environment.release.networks;
    out.secrets = asked_sources(environment.release.secrets);
    for (const auto& [name, key] : environment.release.key_files) {
        out.key_files.push_back({name, key.file, key.target});
    }
    for (const auto& part : app.components) {
        const auto artefact = release.components.find(part.name);
        if (artefact == release.components.end()) {
            continue;
        }
        Component component;
        component.name = part.name;
        component.image = artefact->second.image;
        component.version = artefact->second.version;
        component.path = part.path;
        if (part.health) {
            component.health = part.health->path;
            component.health_timeout = part.health->timeout;
        }
        component.defaults = defaults_of(app, part.name);
        component.templates = part.env;
        component.env = environment.env;
        component.port = container_port_of(part);
        // A port's variable has the same name as in previews.
        component.worker = part.port.empty();
        if (!part.port.empty()) {
            component.env[part.port] = std::to_string(component.port);
        }
        for (const auto& [name, target] : part.volumes) {
            const auto place = environment.release.volumes.find(name);
            const bool ours = place == environment.release.volumes.end();
            component.volumes.push_back(
                {name, ours ? "" : place->second.source, target, !ours && place->second.read_only});
        }
        component.instances = part.instances;
        component.memory_bytes = environment.limits.memory_bytes;
        component.cpu_percent = environment.limits.cpu_percent;
        component.pids = environment.limits.pids;
        out.components.push_back(std::move(component));
    }
    out.queues = app.release_queues;
    out.cache = app.release_cache;
    out.compatibility = app.release_compatibility;
    if (app.release_migrate && !out.components.empty()) {
        out.migration = migration_of(*app.release_migrate, out.components.front().name);
    }
    return out;
}

}    // namespace seatrial::release
