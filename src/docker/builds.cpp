#include "docker/builds.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <shared_mutex>

#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

// Shared by classic builds, alone for who removes what they left. BuildKit leaves nothing.
std::shared_mutex& building() {
    static std::shared_mutex mutex;
    return mutex;
}

// Of a pull by the builder. Bars of progress would be thousands of lines.
std::string status_line(const json& object) {
    const std::string status = text_of(object, "status");
    const std::string id = text_of(object, "id");
    if (status.empty() || !text_of(object, "progress").empty()) {
        return "";
    }
    return (id.empty() ? status : id + ": " + status) + "\n";
}

}    // namespace

Result<std::string> build_image(Engine& engine, const BuildSpec& spec, int context_fd,
                                const OnLine& on_line, const Context& ctx) {
    TRY(check_image_name(spec.name));
    const std::shared_lock busy(building());
    net::Pairs query = {{"t", spec.name},
                        {"dockerfile", spec.dockerfile},
                        {"labels", json(engine.marked(spec.labels)).dump()},
                        {"buildargs", json(spec.arguments).dump()},
                        {"nocache", spec.no_cache ? "1" : "0"},
                        {"rm", "1"},
                        {"forcerm", "1"}};
    if (!spec.target.empty()) {
        query.emplace_back("target", spec.target);
    }
    if (spec.memory_bytes > 0) {
        query.emplace_back("memory", std::to_string(spec.memory_bytes));
        query.emplace_back("memswap", std::to_string(spec.memory_bytes));
    }
    BuildProgress progress(BuildProgress::Format::classic, on_line);
    std::string id;
    TRY(engine.stream_json(
        {.method = "POST", .path = "/build", .query = std::move(query), .upload_fd = context_fd},
        [&](const json& object) {
            progress.take(text_of(object, "stream") + status_line(object),
                          std::chrono::steady_clock::now());
            const std::string made = text_of(member(object, "aux"), "ID");
            id = made.empty() ? id : made;
            return true;
        },
        ctx));
    progress.end(std::chrono::steady_clock::now());
    return id;
}

Status prune_unnamed_images(Engine& engine, const Labels& labels, const Context& ctx) {
    const std::unique_lock alone(building(), std::try_to_lock);
    if (!alone) {
        return {};    // who destroys an image next does it
    }
    json wanted = json::array();
    for (const auto& [name, value] : labels) {
        wanted.push_back(name + "=" + value);
    }
    const json filters = {{"dangling", json::array({"true"})}, {"label", wanted}};
    TRY(engine.call(
        {.method = "POST", .path = "/images/prune", .query = {{"filters", filters.dump()}}}, ctx));
    return {};
}

}    // namespace seatrial::docker
