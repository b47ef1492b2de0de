// Builds of images: by BuildKit, which only a docker CLI speaks, or by the engine's classic
// builder, through the API. Errors and threads: docker/engine.h; a build that fails is `failed`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "docker/build_progress.h"
#include "docker/engine.h"
#include "docker/registries.h"

namespace seatrial::docker {

struct BuildSpec {
    std::string name = {};                    // of the image: "repository:tag"
    std::string dockerfile = "Dockerfile";    // in the context
    std::string target = {};                  // stage; "" = the last
    std::map<std::string, std::string> arguments = {};
    Labels labels = {};    // our mark is added
    Logins logins = {};    // for what it builds on
    bool no_cache = false;
    std::int64_t memory_bytes = 0;    // classic builder alone
};

// The classic builder. `context_fd`: a tar, read to its end (a pipe may be given). Cancelled, the
// engine ends the command at work, and the layers that this build made go. Answers the id.
Result<std::string> build_image(Engine& engine, const BuildSpec& spec, int context_fd,
                                const OnLine& on_line, const Context& ctx);

// What a classic build that was cut off left: images without a name that nothing was made from and
// that carry these labels alone (the builder labels layer by layer, in the order of the labels'
// names: one that sorts before our mark is on all of them). Nothing while this program builds: a
// layer that is to be continued looks the same.
Status prune_unnamed_images(Engine& engine, const Labels& labels, const Context& ctx);

// How BuildKit is reached.
struct BuildKit {
    std::filesystem::path cli;        // docker
    std::filesystem::path scratch;    // folder; a build's own CLI configuration is in it as long
};
// A docker CLI that can drive BuildKit (`candidates` are tried in order): one before version 23,
// which brings it along, or one with buildx. `unavailable` with a remedy when there is none.
Result<std::filesystem::path> find_buildkit_cli(
    const std::vector<std::filesystem::path>& candidates, const Context& ctx);
// Where `docker` may be: in the folders of `path_variable` ("/bin:/usr/bin"), and the usual ones.
std::vector<std::filesystem::path> docker_clis(const std::string& path_variable);
// As build_image(): mounts of caches and secrets, stages side by side, one layer for all labels.
// Values of build arguments go through the CLI's environment: `invalid` for names that would
// mean something to it there.
Result<std::string> build_with_buildkit(Engine& engine, const BuildKit& kit, const BuildSpec& spec,
                                        int context_fd, const OnLine& on_line, const Context& ctx);

}    // namespace seatrial::docker
