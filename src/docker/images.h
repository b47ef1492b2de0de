// Images of an engine. Ours is an image with our label, or a name of ours (base/names): images
// that are pulled or loaded bring no label of ours. Errors and threads: docker/engine.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/secret.h"
#include "docker/engine.h"

namespace seatrial::docker {

struct Image {
    std::string id;                      // "sha256:..." of its configuration
    std::vector<std::string> names;      // "repository:tag"
    std::vector<std::string> digests;    // "repository@sha256:...", known once pulled or pushed
    Labels labels;
    std::int64_t bytes = 0;
};

// What a registry asks for; sent in a header (X-Registry-Auth), never shown.
struct RegistryLogin {
    std::string server, user;
    Secret password;
};

using OnLine = std::function<void(std::string_view line)>;    // progress, for people

// Those with our label, and those with a name of ours.
Result<std::vector<Image>> list_our_images(Engine& engine, const Context& ctx);
// Of anybody, by name, digest or id.
Result<Image> inspect_image(Engine& engine, const std::string& name, const Context& ctx);
// `name`: "repository:tag" of ours, or of the registry that it will be pushed to.
Status tag_image(Engine& engine, const std::string& image, const std::string& name,
                 const Context& ctx);
// Takes this name from its image; the image goes with its last name unless something uses it.
// `conflict` when it is not ours, or is used by a container. Not there is ok.
Status remove_image(Engine& engine, const std::string& name, const Context& ctx);
// The same for a name that we pulled ourselves just now, and that was not there before.
Status forget_pulled_name(Engine& engine, const std::string& name, const Context& ctx);

// A tar that "docker save" wrote; answers what the engine says it loaded ("name:tag" or id).
Result<std::string> load_image(Engine& engine, int tar_fd, const Context& ctx);
// A tar of a root file system becomes image `name`, with our label. `changes`: lines as in a
// Dockerfile (ENV, CMD, USER ...). Answers its id.
Result<std::string> import_image(Engine& engine, int tar_fd, const std::string& name,
                                 const std::vector<std::string>& changes, const Context& ctx);

// Answers the digest that the registry named ("sha256:..."); "" when it named none.
Result<std::string> pull_image(Engine& engine, const std::string& name,
                               const std::optional<RegistryLogin>& login, const OnLine& on_line,
                               const Context& ctx);
Result<std::string> push_image(Engine& engine, const std::string& name,
                               const std::optional<RegistryLogin>& login, const OnLine& on_line,
                               const Context& ctx);

// Who asks for a layer's command may not see: as build arguments, in the request's body.
struct BuildSpec {
    std::string name = {};                    // of the image: "repository:tag"
    std::string dockerfile = "Dockerfile";    // in the context
    std::string target = {};                  // stage; "" = the last
    std::map<std::string, std::string> arguments = {};
    Labels labels = {};    // our mark is added
    bool no_cache = false;
    std::int64_t memory_bytes = 0;
};
// The classic builder, through the API. `context_fd`: a tar, read to its end (a pipe may be
// given). A command of the Dockerfile that fails is `failed`, with its message. Answers the id.
Result<std::string> build_image(Engine& engine, const BuildSpec& spec, int context_fd,
                                const OnLine& on_line, const Context& ctx);

// What a build that was cut off left: images without a name that nothing was made from and that
// carry these labels alone (the builder labels layer by layer, in the order of the labels' names:
// one that sorts before our mark is on all of them). Nothing while this program builds: a layer
// that is to be continued looks the same.
Status prune_unnamed_images(Engine& engine, const Labels& labels, const Context& ctx);

// A docker CLI that can drive BuildKit (`candidates` are tried in order): one before version 23,
// which brings it along, or one with buildx. `unavailable` with a remedy when there is none.
Result<std::filesystem::path> find_buildkit_cli(
    const std::vector<std::filesystem::path>& candidates, const Context& ctx);
// The same with BuildKit, which only the CLI speaks: mounts of caches and secrets, stages side by
// side. Values of build arguments go through its environment. `output_fd`: gets its output.
Result<std::string> build_with_buildkit(Engine& engine, const std::filesystem::path& cli,
                                        const BuildSpec& spec, int context_fd, int output_fd,
                                        const Context& ctx);

}    // namespace seatrial::docker
