#include "resource/await_health.h"

#include <algorithm>

#include "net/probe.h"

namespace seatrial::resource {
namespace {

using std::chrono::milliseconds;
// An answer is noticed late by this part of the time that it took, at most.
constexpr int promptness = 20;
constexpr auto answer_time = std::chrono::seconds(5);

}    // namespace

Status await_health(const HealthLook& health, const plan::Progress& progress, const Context& ctx) {
    std::string seen;
    std::string told;
    milliseconds pause = health.first_pause;
    const auto begin = std::chrono::steady_clock::now();
    while (true) {
        // Nothing tells that somebody began to listen or to answer: this one wait asks repeatedly.
        auto healthy = health.look(seen);
        if (healthy && *healthy) {
            return {};
        }
        if (!healthy && healthy.error().code != Code::timed_out) {
            return tl::unexpected(std::move(healthy).error());
        }
        if (seen != told && pause == health.longest_pause) {
            progress(seen);
            told = seen;
        }
        auto waited = wait_for(pause, ctx);
        if (!waited && waited.error().code == Code::timed_out) {
            return fail(Code::failed,
                        "it did not become healthy in time: " + seen + "\n" + health.last_lines(),
                        health.hint);
        }
        TRY(waited);
        const auto elapsed =
            std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
        pause = std::clamp(elapsed / promptness, health.first_pause, health.longest_pause);
    }
}

Result<bool> answers_well(std::uint16_t port, const std::string& path, std::string& seen,
                          const Context& ctx) {
    const auto status = net::http_get_status(port, path, ctx.with_timeout(answer_time));
    if (!status) {
        TRY(ctx.ok());
        seen = "GET " + path + ": " + status.error().message;
        return false;
    }
    seen = "GET " + path + " answered " + std::to_string(*status);
    return *status >= 200 && *status < 400;
}

}    // namespace seatrial::resource
