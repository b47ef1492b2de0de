// How far a release's migration came in an environment; in a deployment's status.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/clock.h"

namespace seatrial::release {

// Written down before each step and after it: no migration runs twice, whoever dies.
struct Migrated {
    // Failed: what it did is being undone.
    enum class State { named, made, done, failed } state = State::named;
    std::string container;
    WallTime at{};            // named, or made; when done, ended
    bool contract = false;    // as in Migration
    std::string tag;
    std::chrono::milliseconds took{0};    // when done
    std::string snapshot;                 // id of the one before it; "" = none is made
    std::string fault, hint;              // why it failed
};
nlohmann::json to_json(const Migrated& step);
Migrated migrated_of(const nlohmann::json& in);    // throws as nlohmann does

}    // namespace seatrial::release
