// The containers of one slot of a deployment.
#pragma once

#include <filesystem>
#include <string>

#include "docker/engine.h"
#include "release/deployment.h"

namespace seatrial::release {

// Whose containers they are.
struct Owner {
    docker::Labels labels;
    std::filesystem::path keys;    // the slot's copies of key files, made when they are not there
};

// Chooses the names of a slot's containers; nothing is made. `seed` makes them unlike any before.
Instances choose_instances(const Content& content, const std::string& instance,
                           const std::string& site, const std::string& seed);
// Makes and starts what is missing, and fills in where each one is to be reached. Errors: failed
// (the image or the command is at fault), unavailable (the engine).
Status start_instances(docker::Engine& engine, const Content& content, const Owner& owner,
                       Instances* instances, const Context& ctx);
// Waits until each answers its health check. `failed` with the end of its log when one ends or
// does not answer in time.
Status await_health(docker::Engine& engine, const Content& content, const Instances& instances,
                    const Context& ctx);
// Makes the container of a release's migration, of that name; there already is ok.
Status make_migration(docker::Engine& engine, const Content& content, const std::string& name,
                      const Owner& owner, const Context& ctx);
// Starts it unless it ever was, and waits for its end; after `left` it is killed. `failed` with the
// end of its log: it ended with another code than 0, ran too long, or is gone.
Status run_migration(docker::Engine& engine, const std::string& name,
                     std::chrono::milliseconds left, const Context& ctx);
// Stops and removes them, side by side; absent is ok.
Status remove_instances(docker::Engine& engine, const Instances& instances, const Context& ctx);

}    // namespace seatrial::release
