// Containers of an engine. Whatever changes one looks at its label first and then goes by its id,
// so that a stranger's container of the same name is never touched (`conflict`).
// Errors and threads: docker/engine.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/secret.h"
#include "docker/engine.h"
#include "docker/streams.h"

namespace seatrial::docker {

struct Mount {
    std::string volume = {};    // a named volume, or
    std::string folder = {};    // an absolute path on the engine's host, or neither: memory
    std::string target = {};    // absolute, in the container
    bool read_only = false;
    std::int64_t memory_bytes = 64 << 20;    // of a mount in memory
};

struct Port {
    int container = 0;
    int host = 0;    // 0: the engine chooses
    std::string address = "127.0.0.1";
};

struct HealthCheck {
    std::vector<std::string> argv = {};
    std::chrono::milliseconds interval{1000}, timeout{5000}, start_period{0};
    int retries = 3;
};

struct NetworkUse {
    std::string network;
    std::vector<std::string> aliases = {};    // host names there, beside the container's name
};

// Values of variables are sent in the request's body: no argv, no file shows them.
using Environment = std::map<std::string, Secret>;

struct ContainerSpec {
    std::string name, image;
    std::vector<std::string> argv;    // empty: as the image says
    bool keep_entrypoint = true;      // false: argv is all of the command
    Environment environment;
    std::string user, cwd;    // empty: as the image says
    Labels labels;            // our mark is added
    std::int64_t memory_bytes = 0;
    int cpu_percent = 0;    // of one processor
    int pids = 0;           // these three: 0 is no limit
    std::optional<HealthCheck> health;
    bool read_only_root = false;
    std::vector<Mount> mounts;
    std::vector<Port> ports;
    std::vector<NetworkUse> networks;                 // empty: none at all
    std::map<std::string, std::string> hosts = {};    // more names → address, or "host-gateway"
    std::vector<std::string> capabilities;            // kept; all others are dropped
    std::chrono::seconds stop_grace{10};              // for who stops it without saying how long
    std::int64_t log_bytes = 64 << 20;                // kept by the engine, older lines go
};

struct Container {
    std::string id, name, image_id;
    Labels labels;
    std::string state;     // created running paused restarting removing exited dead
    std::string health;    // "" (no check), starting, healthy, unhealthy
    std::string error;     // why it could not start
    int exit_code = 0;
    bool out_of_memory = false;
    std::int64_t pid = 0;
    std::string started_at, stop_signal;             // of its image; "" = TERM
    std::map<std::string, std::string> addresses;    // by network, while it runs
    std::map<int, int> ports;                        // in the container → on the host
};

// With an init process in front, without new privileges. Half-made nothing: it is there with all
// its labels or not at all. Answers its id. `conflict`: the name is taken.
Result<std::string> create_container(Engine& engine, const ContainerSpec& spec, const Context& ctx);
// Of anybody.
Result<Container> inspect_container(Engine& engine, const std::string& name, const Context& ctx);
// Ours with these labels, in any state; no addresses and ports, no exit code.
Result<std::vector<Container>> list_containers(Engine& engine, const Labels& labels,
                                               const Context& ctx);
// Already running is ok. Errors: `conflict` with field "port:N" when a port is taken.
Status start_container(Engine& engine, const std::string& name, const Context& ctx);
// SIGTERM (or what the image says), after `grace` (nullopt: its own) SIGKILL. Not running is ok.
Status stop_container(Engine& engine, const std::string& name,
                      std::optional<std::chrono::seconds> grace, const Context& ctx);
Status kill_container(Engine& engine, const std::string& name, const std::string& signal,
                      const Context& ctx);
// Also a running one, with its nameless volumes. Not there is ok.
Status remove_container(Engine& engine, const std::string& name, const Context& ctx);
// Its exit code, once it does not run.
Result<int> wait_container(Engine& engine, const std::string& name, const Context& ctx);

struct LogOptions {
    bool follow = false;
    int tail = -1;             // lines from the end; all when negative
    std::string since = {};    // UNIX time, "SECONDS.NANOSECONDS"; "" = all
    bool timestamps = false;
    std::int64_t limit_bytes = 16 << 20;    // then it ends, as if there were no more
};
Status read_logs(Engine& engine, const std::string& name, const LogOptions& options,
                 const FrameReader::OnText& on_text, const Context& ctx);

struct ExecSpec {
    std::vector<std::string> argv = {};
    Environment environment = {};
    std::string user = {}, cwd = {};
    std::int64_t limit_bytes = 1 << 20;    // of output; the rest is read and dropped
};
// Runs a command in a running container; its exit code. Once cancelled we no longer listen, but
// the command goes on: the engine has no way to end it but with its container.
Result<int> exec_in_container(Engine& engine, const std::string& name, const ExecSpec& spec,
                              const FrameReader::OnText& on_text, const Context& ctx);

}    // namespace seatrial::docker
