// The images of a release's components: built from the commit, or pulled; side by side.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "docker/builds.h"
#include "git/mirror.h"

namespace seatrial::release {

// A part of a release; in the records as JSON.
struct Artefact {
    std::string image;             // id
    std::string name;              // "repository:tag", for people and listings
    std::string kind = "image";    // or "static": files, packed with their server
    std::string version = {};
};

// What this host has to build with.
struct BuildMeans {
    std::optional<docker::BuildKit> kit;    // absent: the classic builder
    std::string remedy = {};                // how to get BuildKit where there is none
    docker::Logins logins = {};
};
// `wish`: as in docker.builder (auto, buildkit, classic). `scratch`: a folder of ours.
// `unavailable` when BuildKit must be and cannot.
Result<BuildMeans> choose_means(const std::string& wish, const std::filesystem::path& scratch,
                                const Context& ctx);

// Of docker.registries. `invalid` or `refused`, naming the key, when a password's file is not
// there, is empty, or others may read it.
Result<docker::Logins> read_logins(const std::map<std::string, config::Registry>& registries);

using OnLine = std::function<void(const std::string& component, std::string_view line)>;

struct ArtefactRequest {
    std::string app, commit, tag;
    std::vector<const config::Component*> parts;    // each with `build` or `image`
    std::map<std::string, std::string> values;      // arguments for every image
    BuildMeans means;
};
// By component. `on_line` is called by several threads at once. `invalid`, before anything is
// built: a Dockerfile that is not there, or that needs BuildKit where there is none; all of them in
// one report. `failed` (a build, with its end) ends the others.
Result<std::map<std::string, Artefact>> make_artefacts(docker::Engine& engine,
                                                       const git::Mirror& mirror,
                                                       const ArtefactRequest& request,
                                                       const OnLine& on_line, const Context& ctx);

// `line` without the values of arguments that look like secrets: builders show them in the commands
// that use them.
std::string without_secrets(std::string line, const std::map<std::string, std::string>& arguments);

// Of the images that are built of a part: "<app>-<part>".
std::string image_repository(const std::string& app, const std::string& part);

}    // namespace seatrial::release
