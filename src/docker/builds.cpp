#include "docker/builds.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <shared_mutex>

#include "base/text.h"
#include "crypto/crypto.h"
#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds last_patience{10};
constexpr std::chrono::milliseconds between_tries{50};

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

// The layers that a build makes: an id after a step that was not in the cache. That of a FROM is
// somebody else's.
class MadeLayers {
public:
    void take(std::string_view said) {
        for (const std::string_view line : split(said, '\n')) {
            if (line.starts_with("Step ")) {
                mine_ = line.find(" : FROM ") == std::string_view::npos &&
                        line.find(" : from ") == std::string_view::npos;
            } else if (line == " ---> Using cache") {
                mine_ = false;
            } else if (mine_ && line.starts_with(" ---> ") && is_id(line.substr(6))) {
                ids_.emplace_back(line.substr(6));
            }
        }
    }
    // Those that nothing else was made from.
    void remove(Engine& engine, const Context& ctx) const {
        for (auto id = ids_.rbegin(); id != ids_.rend(); ++id) {
            if (!remove(engine, *id, ctx)) {
                return;
            }
        }
    }

private:
    static bool is_id(std::string_view text) {
        return text.size() == 12 &&
               text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    }
    // The engine is still ending the container of the step that was at work.
    static Status remove(Engine& engine, const std::string& id, const Context& ctx) {
        while (true) {
            const auto removed = engine.call(
                {.method = "DELETE", .path = "/images/" + escape(id), .query = {{"noprune", "1"}}},
                ctx);
            if (removed || removed.error().code != Code::conflict ||
                removed.error().message.find("container") == std::string::npos) {
                return removed ? Status() : tl::unexpected(removed.error());
            }
            TRY(wait_for(between_tries, ctx));
        }
    }

    bool mine_ = false;
    std::vector<std::string> ids_;
};

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
    MadeLayers layers;
    std::string id;
    const Status built = engine.stream_json(
        {.method = "POST",
         .path = "/build",
         .query = std::move(query),
         .headers = {{"X-Registry-Config",
                      crypto::base64url(registry_config(spec.logins).reveal())}},
         .upload_fd = context_fd},
        [&](const json& object) {
            layers.take(text_of(object, "stream"));
            progress.take(text_of(object, "stream") + status_line(object),
                          std::chrono::steady_clock::now());
            const std::string made = text_of(member(object, "aux"), "ID");
            id = made.empty() ? id : made;
            return true;
        },
        ctx);
    if (!built && built.error().code == Code::cancelled) {
        layers.remove(engine, Context().with_timeout(last_patience));
    }
    TRY(built);
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
