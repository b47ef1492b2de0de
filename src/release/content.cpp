#include "release/content.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "release/queues.h"

namespace seatrial::release {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

json to_json(const Component& part) {
    json volumes = json::array();
    for (const auto& volume : part.volumes) {
        volumes.push_back({volume.name, volume.source, volume.target, volume.read_only});
    }
    return {{"name", part.name},
            {"image", part.image},
            {"version", part.version},
            {"argv", part.argv},
            {"port", part.port},
            {"path", part.path},
            {"health", part.health},
            {"health_timeout_ms", part.health_timeout.count()},
            {"defaults", part.defaults},
            {"templates", part.templates},
            {"env", part.env},
            {"volumes", volumes},
            {"instances", part.instances},
            {"worker", part.worker},
            {"memory_bytes", part.memory_bytes},
            {"cpu_percent", part.cpu_percent},
            {"pids", part.pids}};
}

Component component_of(const json& in) {
    Component out;
    out.name = in.at("name");
    out.image = in.at("image");
    out.version = in.value("version", "");
    out.argv = in.at("argv");
    out.port = in.value("port", out.port);
    out.path = in.at("path");
    out.health = in.at("health");
    out.health_timeout = milliseconds(in.at("health_timeout_ms").get<std::int64_t>());
    out.defaults = in.value("defaults", out.defaults);
    out.templates = in.value("templates", out.templates);
    out.env = in.at("env");
    for (const auto& volume : in.value("volumes", json::array())) {
        out.volumes.push_back({volume.at(0), volume.at(1), volume.at(2), volume.at(3)});
    }
    out.instances = in.at("instances");
    out.worker = in.value("worker", false);
    out.memory_bytes = in.at("memory_bytes");
    out.cpu_percent = in.at("cpu_percent");
    out.pids = in.at("pids");
    return out;
}

// Written as the configuration has it; what is empty is left out.
struct SourceField {
    const char* name;
    std::string config::SecretSource::* value;
};
constexpr SourceField source_fields[] = {
    {"kind", &config::SecretSource::kind},
    {"place", &config::SecretSource::place},
    {"config", &config::SecretSource::config},
    {"region", &config::SecretSource::region},
    {"profile", &config::SecretSource::profile},
    {"credentials_file", &config::SecretSource::credentials_file},
    {"as", &config::SecretSource::variable},
    {"url", &config::SecretSource::url},
    {"ca_file", &config::SecretSource::ca_file},
    {"namespace", &config::SecretSource::name_space},
    {"token_file", &config::SecretSource::token_file},
    {"role_id", &config::SecretSource::role_id},
    {"secret_id_file", &config::SecretSource::secret_id_file},
};

json to_json(const config::SecretSource& source) {
    json out = json::object();
    for (const auto& field : source_fields) {
        if (!(source.*field.value).empty()) {
            out[field.name] = source.*field.value;
        }
    }
    return out;
}

config::SecretSource source_of(const json& in) {
    config::SecretSource out;
    for (const auto& field : source_fields) {
        out.*field.value = in.value(field.name, "");
    }
    return out;
}

}    // namespace

bool has_workers(const Content& content) {
    return std::ranges::any_of(content.components, &Component::worker);
}

json to_json(const Content& content) {
    json parts = json::array();
    for (const auto& part : content.components) {
        parts.push_back(to_json(part));
    }
    json out = {{"release", content.release},
                {"tag", content.tag},
                {"components", parts},
                {"env_files", content.env_files},
                {"networks", content.networks}};
    for (const auto& key : content.key_files) {
        out["key_files"].push_back({key.name, key.file, key.target});
    }
    for (const auto& source : content.secrets) {
        out["secrets"].push_back(to_json(source));
    }
    if (const Migration& step = content.migration; !step.argv.empty()) {
        out["migration"] = {{"argv", step.argv},
                            {"component", step.component},
                            {"timeout_ms", step.timeout.count()},
                            {"contract", step.contract},
                            {"unseen", step.unseen},
                            {"notes", step.notes},
                            {"down", step.down}};
        if (step.snapshot) {
            out["migration"]["snapshot"] = {{"url", step.snapshot->url},
                                            {"image", step.snapshot->image},
                                            {"keep", step.snapshot->keep},
                                            {"timeout_ms", step.snapshot->timeout.count()},
                                            {"ignore", step.snapshot->ignore}};
        }
    }
    for (const auto& queue : content.queues) {
        out["queues"].push_back(to_json(queue));
    }
    if (!content.cache.prefixes.empty()) {
        out["cache"] = to_json(content.cache);
    }
    if (!content.compatibility.empty()) {
        out["compatibility"] = content.compatibility;
    }
    return out;
}

Content content_of(const json& in) {
    Content out;
    out.release = in.at("release");
    out.tag = in.at("tag");
    for (const auto& part : in.at("components")) {
        out.components.push_back(component_of(part));
    }
    out.env_files = in.at("env_files");
    out.networks = in.value("networks", out.networks);
    for (const auto& key : in.value("key_files", json::array())) {
        out.key_files.push_back({key.at(0), key.at(1), key.at(2)});
    }
    for (const auto& source : in.value("secrets", json::array())) {
        out.secrets.push_back(source_of(source));
    }
    if (in.contains("migration")) {
        const json& step = in.at("migration");
        out.migration.argv = step.at("argv");
        out.migration.component = step.at("component");
        out.migration.timeout = milliseconds(step.at("timeout_ms").get<std::int64_t>());
        out.migration.contract = step.at("contract");
        out.migration.notes = step.at("notes");
        out.migration.unseen = step.value("unseen", false);
        out.migration.down = step.value("down", out.migration.down);
        if (step.contains("snapshot")) {
            const json& copy = step.at("snapshot");
            out.migration.snapshot = {copy.at("url"), copy.at("image"), copy.at("keep"),
                                      milliseconds(copy.at("timeout_ms").get<std::int64_t>()),
                                      copy.at("ignore")};
        }
    }
    for (const auto& queue : in.value("queues", json::array())) {
        out.queues.push_back(queue_of(queue));
    }
    if (in.contains("cache")) {
        out.cache = cache_of(in.at("cache"));
    }
    out.compatibility = in.value("compatibility", out.compatibility);
    return out;
}

}    // namespace seatrial::release
