// BuildKit through the docker CLI: its own protocol (gRPC on a hijacked connection) is not worth
// speaking. The CLI gets a configuration of its own, so that no user's plugins or logins count.
#include <stdlib.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/file.h"
#include "base/scratch_folder.h"
#include "base/text.h"
#include "docker/builds.h"
#include "docker/images.h"
#include "process/command.h"

namespace seatrial::docker {
namespace {

namespace fs = std::filesystem;

constexpr int first_without_builtin = 23;    // from this version on buildx is needed
constexpr std::size_t output_kept = 64 << 10;

bool has_builtin(std::string_view version) {
    int major = 0;
    std::from_chars(version.data(), version.data() + version.size(), major);
    return major >= 18 && major < first_without_builtin;
}

Result<process::Output> ask(const fs::path& cli, const std::vector<std::string>& words,
                            const Context& ctx) {
    process::Command command;
    command.argv = {cli.string()};
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    command.env = {"DOCKER_CONFIG=/nonexistent"};
    return process::run_checked(command, ctx);
}

// What the CLI, its runtime or the loader would take as their own: a repository's file must not
// choose what runs here. The proxies are meant for the build.
Status check_argument(const std::string& name) {
    constexpr std::string_view names[] = {"PATH",   "HOME", "USER",    "LANG",
                                          "TMPDIR", "TERM", "GODEBUG", "GOTRACEBACK"};
    constexpr std::string_view beginnings[] = {"LD_",  "DOCKER_", "BUILDX_", "BUILDKIT_", "SSL_",
                                               "XDG_", "OTEL_",   "GLIBC_",  "LC_"};
    const bool taken =
        std::ranges::find(names, name) != std::end(names) ||
        std::ranges::any_of(beginnings, [&](auto start) { return name.starts_with(start); });
    if (taken || name.empty() || name.find('=') != std::string::npos) {
        return fail(Code::invalid,
                    "build argument " + printable(name) +
                        " cannot be given to BuildKit: the docker command takes it as its own",
                    "rename it, or set `docker: {builder: classic}` in the server's file");
    }
    return {};
}

Result<process::Command> make_command(const Engine& engine, const BuildKit& kit,
                                      const BuildSpec& spec, const fs::path& config) {
    process::Command command;
    command.argv = {kit.cli.string(), "-H",         "unix://" + engine.socket().string(),
                    "build",          "--progress", "plain",
                    "--tag",          spec.name,    "--file",
                    spec.dockerfile};
    const auto add = [&command](const std::string& option, const std::string& value) {
        command.argv.push_back(option);
        command.argv.push_back(value);
    };
    for (const auto& [name, value] : engine.marked(spec.labels)) {
        add("--label", name + "=" + value);
    }
    command.env = {"DOCKER_BUILDKIT=1", "DOCKER_CONFIG=" + config.string(),
                   "BUILDX_NO_DEFAULT_ATTESTATIONS=1"};
    for (const auto& [name, value] : spec.arguments) {
        TRY(check_argument(name));
        add("--build-arg", name);    // its value comes from the environment
        command.env.push_back(name + "=" + value);
    }
    if (!spec.target.empty()) {
        add("--target", spec.target);
    }
    if (spec.no_cache) {
        command.argv.emplace_back("--no-cache");
    }
    command.argv.emplace_back("-");    // the context comes as a tar
    command.output_limit = output_kept;
    return command;
}

}    // namespace

Result<fs::path> find_buildkit_cli(const std::vector<fs::path>& candidates, const Context& ctx) {
    for (const fs::path& cli : candidates) {
        std::error_code ignored;
        if (!fs::is_regular_file(cli, ignored)) {
            continue;
        }
        // "Docker version 20.10.24+dfsg1, build 297e128"; asks no engine.
        const auto version = ask(cli, {"--version"}, ctx);
        constexpr std::string_view before = "Docker version ";
        if (version && version->out.starts_with(before) &&
            has_builtin(version->out.substr(before.size()))) {
            return cli;
        }
        if (ask(cli, {"buildx", "version"}, ctx)) {
            return cli;
        }
        TRY(ctx.ok());
    }
    return fail(Code::unavailable, "no docker CLI here can drive BuildKit",
                "install docker.io, or docker-ce-cli with docker-buildx-plugin");
}

std::vector<fs::path> docker_clis(const std::string& path_variable) {
    std::vector<fs::path> out;
    const std::string folders = path_variable + ":/usr/local/bin:/usr/bin";
    for (const std::string_view folder : split(folders, ':')) {
        const fs::path cli = fs::path(folder) / "docker";
        if (folder.starts_with('/') && std::ranges::find(out, cli) == out.end()) {
            out.push_back(cli);
        }
    }
    return out;
}

Result<std::string> build_with_buildkit(Engine& engine, const BuildKit& kit, const BuildSpec& spec,
                                        int context_fd, const OnLine& on_line, const Context& ctx) {
    TRY(check_image_name(spec.name));
    TRY_ASSIGN(const auto scratch, ScratchFolder::make(kit.scratch, "build-"));
    // The folder goes with the build; a daemon that was killed clears it when it starts again.
    TRY(write_file_atomic(scratch.path() / "config.json", cli_config(spec.logins).reveal(), 0600));
    TRY_ASSIGN(auto command, make_command(engine, kit, spec, scratch.path()));
    BuildProgress progress(BuildProgress::Format::buildkit, on_line);
    command.stdin_fd = context_fd;
    command.on_err = [&](std::string_view text) {
        progress.take(text, std::chrono::steady_clock::now());
    };
    // Killed, it takes its session with the engine along, and with it the build.
    TRY_ASSIGN(const auto output, process::run_command(command, ctx));
    progress.end(std::chrono::steady_clock::now());
    if (output.exit_code != 0) {
        TRY(engine.ping(ctx));    // an engine that is away is another fault
        return fail(Code::failed,
                    progress.last_word().empty()
                        ? "docker failed with exit code " + std::to_string(output.exit_code)
                        : progress.last_word());
    }
    TRY_ASSIGN(const Image image, inspect_image(engine, spec.name, ctx));
    return image.id;
}

}    // namespace seatrial::docker
