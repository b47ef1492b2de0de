// Type "docker-image": an image of a preview. Place: a Docker engine; the
// image is named <name>:latest. Spec, either
//   pull     what a registry or the engine calls it ("node:22", "shop/api@sha256:...")
// or
//   mirror, commit, context   the folder of a commit that it is built from ("" = the whole tree)
//   dockerfile, target        below the context; stage, "" = the last
//   arguments                 {NAME: value} for the build, plain
// and
//   memory   bytes for the build's commands; life
//   log      file that the build's output is appended to, "" = none
// One that is pulled gets our label in a layer of its own without content, so that label, spec
// hash and name come at once; the name it was pulled by goes, unless it was there before.
#pragma once

#include <filesystem>

#include "resource/docker_engines.h"

namespace seatrial::resource {

inline constexpr std::string_view docker_image_type = "docker-image";

// What containers say for the image of that ref name.
std::string image_name(const std::string& ref_name);

class DockerImage : public plan::Type {
public:
    // `mirrors`: the folder of the bare mirrors.
    DockerImage(const DockerEngines& engines, std::filesystem::path mirrors)
        : engines_(engines), mirrors_(std::move(mirrors)) {}
    std::string_view name() const override { return docker_image_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `failed` with its output when a command of the Dockerfile fails.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // `conflict` while a container uses it. Takes what builds left that were cut off, too.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    Status build(docker::Engine& engine, const plan::Ref& ref, const nlohmann::json& spec,
                 const plan::Progress& progress, const Context& ctx);

    const DockerEngines& engines_;
    std::filesystem::path mirrors_;
};

}    // namespace seatrial::resource
