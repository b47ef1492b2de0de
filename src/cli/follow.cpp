#include "cli/follow.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace seatrial::cli {

using nlohmann::json;

Result<std::string> follow(DaemonClient& daemon, const std::string& life, std::int64_t generation,
                           std::int64_t after, StepList& steps, json& data, const Context& ctx) {
    std::string result;
    TRY(daemon.listen(
        "/api/v1/events?life=" + encode(life) + "&after=" + std::to_string(after),
        [&](const net::Event& message) {
            const json event = json::parse(message.data, nullptr, false);
            if (!event.is_object()) {
                return true;
            }
            const auto number = event.value("generation", std::int64_t{0});
            const std::string kind = event.value("kind", "");
            const json& details = event["data"];
            if (number > generation && (kind == "wanted" || kind == "unwanted")) {
                data = details;
                result = "superseded";
                return false;
            }
            if (number != generation) {
                return true;
            }
            if (kind == "step") {
                steps.take(details);
            } else if (kind == "waiting") {
                steps.note(
                    paint("waiting: " + printable(details.value("message", "")), Tone::warn));
            } else if (kind == "ports") {
                steps.note(paint(printable(details.value("reason", "")) + "; taking other ports",
                                 Tone::warn));
            } else if (kind == "outcome") {
                data = details;
                result = details.value("result", "");
                return false;
            }
            return true;
        },
        ctx));
    return result;
}

}    // namespace seatrial::cli
