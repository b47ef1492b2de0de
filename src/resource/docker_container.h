// Types "docker-container" (a component that runs) and "docker-task" (a command that runs to its
// end once per spec: install, migrate). Place: a Docker engine; the mark and the hash of the spec
// are labels, so both come with the container at once. Spec:
//   image        name of a docker-image, or with `foreign_image` what the engine calls it
//   argv         [] = as the image says; else all of the command, without its entrypoint
//   cwd, user    "" = as the image says
//   environment  resource/environment.h; only what it names, nothing of the daemon's own
//   network      name of a docker-network, "" = none; aliases [], hosts {NAME: ADDRESS}
//   mounts       [{volume | folder, target, read_only}], scratch [targets] in memory
//   ports        [{container, host}] at 127.0.0.1
//   limits       {memory, cpu, pids}; read_only; log_bytes; grace (s); life
//   log          its output goes to <logs>/<life>/<log>.log before it is removed; "" = nowhere
// A task is ready when it ended with 0; it stays, ended, until it is destroyed: it is its own
// stamp.
#pragma once

#include <filesystem>

#include "docker/containers.h"
#include "resource/docker_engines.h"
#include "resource/environment.h"

namespace seatrial::resource {

inline constexpr std::string_view docker_container_type = "docker-container";
inline constexpr std::string_view docker_task_type = "docker-task";

class DockerContainer : public plan::Type {
public:
    enum class Kind { component, task };
    // `logs`: the folder of all logs.
    DockerContainer(Kind kind, const DockerEngines& engines, DatabaseUrl database_url,
                    std::filesystem::path logs)
        : kind_(kind),
          engines_(engines),
          database_url_(std::move(database_url)),
          logs_(std::move(logs)) {}
    std::string_view name() const override {
        return kind_ == Kind::task ? docker_task_type : docker_container_type;
    }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `conflict` with mark "port:N" when a port is taken; `failed`, with the last lines,
    // when a task ends with another code than 0.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // SIGTERM, then SIGKILL after the grace that it was made with.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    Result<plan::Observation> look(docker::Engine& engine, const std::string& name,
                                   const Context& ctx) const;
    Result<docker::ContainerSpec> make_spec(const plan::Ref& ref, const nlohmann::json& spec,
                                            const Context& ctx) const;
    Status remove(docker::Engine& engine, const std::string& name, const Context& ctx) const;
    Status finish(docker::Engine& engine, const plan::Ref& ref, const Context& ctx) const;

    const Kind kind_;
    const DockerEngines& engines_;
    DatabaseUrl database_url_;
    std::filesystem::path logs_;
};

// How a container ended, for people: "exit code 1", "killed by signal 9 (out of memory)".
std::string render_end(const docker::Container& container);
// The last lines of its output, made printable; "" when they cannot be had.
std::string container_tail(docker::Engine& engine, const std::string& name, int lines,
                           const Context& ctx);

}    // namespace seatrial::resource
