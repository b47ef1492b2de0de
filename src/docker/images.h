// Images of an engine. Ours is an image with our label, or a name of ours (base/names): images
// that are pulled or loaded bring no label of ours. Errors and threads: docker/engine.h.
#pragma once

#include <cstdint>
#include <optional>

#include "docker/build_progress.h"
#include "docker/engine.h"
#include "docker/registries.h"

namespace seatrial::docker {

struct Image {
    std::string id;                      // "sha256:..." of its configuration
    std::vector<std::string> names;      // "repository:tag"
    std::vector<std::string> digests;    // "repository@sha256:...", known once pulled or pushed
    Labels labels;
    std::int64_t bytes = 0;
};

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

}    // namespace seatrial::docker
