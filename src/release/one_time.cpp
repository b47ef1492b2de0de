#include "release/one_time.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "docker/images.h"
#include "release/container_spec.h"
#include "release/key_files.h"
#include "sql/postgres_environment.h"

namespace seatrial::release {

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t most_output = 1 << 20;
constexpr const char* lock_timeout = "-c lock_timeout=5s";

// Whatever the component has beside it is none of theirs.
Status make_database_tool(docker::Engine& engine, const config::ReleaseSnapshot& plan,
                          const OneTime& what, docker::ContainerSpec& spec, const Context& ctx) {
    const auto url = spec.environment.find(plan.url);
    if (url == spec.environment.end()) {
        return fail(Code::invalid, plan.url + " is not set there",
                    "name the variable with the database's URL in release.migrate.snapshot.url");
    }
    auto variables = sql::postgres_environment(url->second);
    if (!variables) {
        Error error = std::move(variables).error();
        error.message = plan.url + ": " + error.message;
        return tl::unexpected(std::move(error));
    }
    spec.environment = std::move(*variables);
    spec.environment["PGCONNECT_TIMEOUT"] = Secret("10");
    spec.mounts = {{.folder = what.folder, .target = snapshot_target}};
    spec.user = std::to_string(::getuid()) + ":" + std::to_string(::getgid());
    if (plan.image.empty()) {
        return {};
    }
    spec.image = plan.image;
    const auto there = docker::inspect_image(engine, plan.image, ctx);
    if (!there && there.error().code == Code::not_found) {
        TRY(docker::pull_image(engine, plan.image, std::nullopt, [](std::string_view) {}, ctx));
        return {};
    }
    return there ? Status() : tl::unexpected(there.error());
}

}    // namespace

Status make_one_time(docker::Engine& engine, const Content& content, const OneTime& what,
                     const Owner& owner, const Context& ctx) {
    const Migration& step = content.migration;
    TRY(copy_key_files(content.key_files, owner.folder));
    const auto part = std::ranges::find(content.components, step.component, &Component::name);
    if (part == content.components.end()) {
        return fail(Code::invalid, "has no component '" + printable(step.component) + "' to run in",
                    "name one that is built in release.migrate.component");
    }
    TRY(ensure_network(engine, owner, ctx));
    TRY(ensure_volumes(engine, content, owner, ctx));
    Given given(content, owner.sources);
    TRY_ASSIGN(docker::ContainerSpec spec,
               make_spec(content, *part, what.container, owner, given, ctx));
    spec.argv = what.argv;
    spec.keep_entrypoint = false;
    if (what.database) {
        TRY(make_database_tool(engine, *step.snapshot, what, spec, ctx));
    } else {
        // A lock that it waits for stops everybody behind it: give up early, nothing is lost.
        spec.environment.try_emplace("PGOPTIONS", Secret(lock_timeout));
    }
    TRY(make_one(engine, spec, ctx));
    TRY_ASSIGN(const auto seen, docker::inspect_container(engine, what.container, ctx));
    return docker::check_ours(engine, seen.labels, "container " + what.container);
}

Status run_one_time(docker::Engine& engine, const std::string& name, milliseconds left,
                    const Context& ctx) {
    const auto seen = docker::inspect_container(engine, name, ctx);
    if (!seen && seen.error().code == Code::not_found) {
        return fail(Code::failed, "cannot be told: its container is gone");
    }
    TRY(seen.has_value() ? Status() : Status(tl::unexpected(seen.error())));
    if (seen->state == "created") {
        TRY(docker::start_container(engine, name, ctx));
    }
    const auto code = docker::wait_container(engine, name, ctx.with_timeout(left));
    TRY(ctx.ok());
    if (!code && code.error().code == Code::timed_out) {
        Status killed = docker::kill_container(engine, name, "KILL", ctx);
        if (!killed && killed.error().code != Code::conflict) {
            return killed;
        }
        return fail(Code::failed, "took too long and was ended\n" + log_end(engine, name, ctx),
                    "give it more time with release.migrate.timeout, or let it do less");
    }
    if (!code) {
        return tl::unexpected(code.error());
    }
    if (*code != 0) {
        return fail(Code::failed, "ended with exit code " + std::to_string(*code) + "\n" +
                                      log_end(engine, name, ctx));
    }
    return {};
}

Result<std::string> output_of(docker::Engine& engine, const std::string& name, const Context& ctx) {
    std::string out;
    docker::LogOptions options;
    options.limit_bytes = most_output;
    TRY(docker::read_logs(
        engine, name, options,
        [&](docker::Stream, std::string_view part) {
            out += part;
            return true;
        },
        ctx));
    return out;
}

}    // namespace seatrial::release
