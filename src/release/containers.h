// The containers of one slot of a deployment.
#pragma once

#include <filesystem>
#include <string>

#include "docker/engine.h"
#include "release/deployment.h"
#include "secrets/source.h"

namespace seatrial::release {

// In rows of what a deployment owns.
inline constexpr const char* container_type = "docker-container";
inline constexpr const char* network_type = "docker-network";
inline constexpr const char* volume_type = "docker-volume";
inline constexpr const char* engine_place = "docker";

// Whose containers they are.
struct Owner {
    docker::Labels labels;
    std::filesystem::path folder;    // the slot's own: copies of key files, what its workers read
    // The slot's own: components find each other there by name, and none of another release.
    std::string network;
    std::string site;                 // begins the names of its volumes
    secrets::Sources sources = {};    // asked when a container is made
    bool live = false;                // users are on the slot, or were
};
// A volume of ours, the same for all releases of the site.
std::string volume_name(const std::string& site, const std::string& name);

// Chooses the names of a slot's containers; nothing is made. `seed` makes them unlike any before.
Instances choose_instances(const Content& content, const std::string& instance,
                           const std::string& site, const std::string& seed);
// Makes and starts what is missing, and fills in where each one is to be reached; workers that were
// told to end are left alone, here and by await_health. Errors: failed
// (the image or the command is at fault), unavailable (the engine), those of a
// source of variables. A container that is there is only started: it has its variables.
Status start_instances(docker::Engine& engine, const Content& content, const Owner& owner,
                       Instances* instances, const Context& ctx);
// Waits until each answers its health check, and workers have run for a moment. `failed` with the
// end of its log when one ends or does not answer in time.
Status await_health(docker::Engine& engine, const Content& content, const Instances& instances,
                    const Context& ctx);
// Before users reach them: starts those again that ended since they were healthy, and waits for
// their health. The engine may tell of an end late, so the apps are asked first. True: there were
// some, and where they are to be reached may have changed. Errors: as the two above.
Result<bool> restart_ended(docker::Engine& engine, const Content& content, const Owner& owner,
                           Instances* instances, const Context& ctx);
// Of all these: nothing is wrong with the release. The engine or a source of variables does not
// answer, or something newer is wanted.
bool is_passing(const Error& error);
// SIGTERM, or what the image says, without waiting for its end. Not running is ok.
Status signal_to_end(docker::Engine& engine, const std::string& name, const Context& ctx);
// Stops and removes them, side by side, then the slot's network; absent is ok.
Status remove_instances(docker::Engine& engine, const Instances& instances,
                        const std::string& network, const Context& ctx);

}    // namespace seatrial::release
