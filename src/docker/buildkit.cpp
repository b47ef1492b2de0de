// BuildKit through the docker CLI: its own protocol (gRPC on a hijacked connection) is not worth
// speaking. The CLI gets a configuration of its own, so that no user's plugins or logins count.
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "docker/images.h"
#include "process/command.h"

namespace seatrial::docker {
namespace {

namespace fs = std::filesystem;

constexpr int first_without_builtin = 23;    // from this version on buildx is needed
constexpr const char* no_config = "DOCKER_CONFIG=/nonexistent";

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
    command.env = {no_config};
    return process::run_checked(command, ctx);
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

Result<std::string> build_with_buildkit(Engine& engine, const fs::path& cli, const BuildSpec& spec,
                                        int context_fd, int output_fd, const Context& ctx) {
    TRY(check_image_name(spec.name));
    process::Command command;
    command.argv = {cli.string(),   "-H",         "unix://" + engine.socket().string(),
                    "build",        "--progress", "plain",
                    "--tag",        spec.name,    "--file",
                    spec.dockerfile};
    const auto add = [&command](const std::string& option, const std::string& value) {
        command.argv.push_back(option);
        command.argv.push_back(value);
    };
    for (const auto& [name, value] : engine.marked(spec.labels)) {
        add("--label", name + "=" + value);
    }
    command.env = {"DOCKER_BUILDKIT=1", no_config};
    for (const auto& [name, value] : spec.arguments) {
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
    command.stdin_fd = context_fd;
    command.stdout_fd = output_fd;
    const auto built = process::run_checked(command, ctx);
    if (!built) {
        return wrap(built.error(), "docker build of " + spec.name);
    }
    TRY_ASSIGN(const Image image, inspect_image(engine, spec.name, ctx));
    return image.id;
}

}    // namespace seatrial::docker
