#include "release/settings.h"

#include <chrono>

namespace seatrial::release {
namespace {

Breach breach_of(const std::string& word) {
    return word == "stop" ? Breach::stop : word == "hold" ? Breach::hold : Breach::rollback;
}

}    // namespace

Result<Settings> make_settings(const Release& release, const config::App& app,
                               const config::Environment& environment) {
    const config::ReleasePlace& place = environment.release;
    if (place.listen.empty()) {
        return fail(Code::invalid,
                    "the environment '" + environment.name + "' takes no releases here",
                    "give it `release: {listen: [\"4400\"]}` in the server's file");
    }
    Settings out;
    for (const auto& text : place.listen) {
        const auto listen = config::parse_listen(text);
        check(listen.has_value(), "the configuration was checked");
        out.listens.push_back({listen->address, listen->port, place.certificate});
    }
    for (const auto& text : place.canary) {
        const auto step = config::parse_canary_step(text);
        check(step.has_value(), "the configuration was checked");
        out.policy.canary.push_back({step->per_mille, step->hold});
    }
    out.checks = app.release_checks;
    for (auto& check : out.checks) {
        if (const auto file = release.files.find(check.file); file != release.files.end()) {
            check.body = file->second;
        }
    }
    out.policy.drain = place.drain;
    out.policy.warm = place.warm;
    out.policy.watch = place.watch;
    out.policy.hold = place.hold;
    const Breach breach = breach_of(place.on_breach);
    if (place.error_rate > 0) {
        out.policy.gates.push_back(
            {Measure::error_rate, place.error_rate / 100.0, breach, place.min_sample});
    }
    if (place.slow_rate > 0) {
        out.policy.gates.push_back(
            {Measure::slow_rate, place.slow_rate / 100.0, breach, place.min_sample});
    }
    for (const auto& [measure, asked] : {std::pair(Measure::job_success, &place.job_success),
                                         std::pair(Measure::api_errors, &place.api_errors)}) {
        if (!asked->query.empty()) {
            out.policy.gates.push_back({measure, asked->limit / 100.0, breach_of(asked->on_breach),
                                        0, asked->prometheus, asked->query});
        }
    }
    if (place.migration_max.count() > 0) {
        out.policy.gates.push_back({Measure::migration,
                                    std::chrono::duration<double>(place.migration_max).count(),
                                    breach_of(place.migration_breach), 0});
    }
    return out;
}

}    // namespace seatrial::release
