#include "release/artefacts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/names.h"
#include "base/private_file.h"
#include "base/text.h"
#include "config/secret_text.h"
#include "docker/dockerfile.h"
#include "docker/images.h"
#include "resource/build_context.h"
#include "resource/static_site.h"

namespace seatrial::release {
namespace {

constexpr std::size_t longest_password = 16 << 10;    // tokens of clouds are long
constexpr std::size_t lines_kept = 20;
constexpr std::size_t shortest_secret = 4;    // "true" and "1" would make a log unreadable

Result<Artefact> take_image(docker::Engine& engine, const config::Component& part,
                            const docker::Logins& logins, const Context& ctx) {
    const auto* login = docker::login_for(logins, part.image);
    auto found = docker::inspect_image(engine, part.image, ctx);
    if (!found && found.error().code == Code::not_found) {
        TRY(docker::pull_image(
            engine, part.image, login ? std::optional(*login) : std::nullopt,
            [](std::string_view) {}, ctx));
        found = docker::inspect_image(engine, part.image, ctx);
    }
    if (!found) {
        return tl::unexpected(found.error());
    }
    return Artefact{found->id, part.image};
}

// git writes the context into a pipe while the engine reads it.
Result<Artefact> build_image(docker::Engine& engine, const git::Mirror& mirror,
                             const ArtefactRequest& request, const config::Component& part,
                             const std::string& name,
                             const std::map<std::string, std::string>& arguments,
                             const docker::OnLine& on_line, const Context& ctx) {
    docker::BuildSpec spec;
    spec.name = name;
    resource::BuildContext context{request.commit, "", "", {}};
    if (part.site) {
        auto site = resource::render_static(part, arguments);
        context.folder = part.site->context;
        context.dockerfile = std::move(site.dockerfile);
        context.files = std::move(site.files);
    } else {
        context.folder = part.build->context;
        context.dockerfile = part.build->file;
        spec.target = part.build->target;
    }
    spec.dockerfile = context.dockerfile;
    spec.arguments = arguments;
    spec.logins = request.means.logins;
    spec.labels = {{"seatrial.app", request.app},
                   {"seatrial.component", part.name},
                   {"seatrial.commit", request.commit}};
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail_errno("pipe", errno);
    }
    Fd read_end(ends[0]);
    Status packed;
    std::jthread packer([&, write_end = Fd(ends[1])]() mutable {
        packed = resource::write_build_context(mirror, context, write_end.get(), ctx);
        write_end.reset();
    });
    const auto& kit = request.means.kit;
    auto built = kit ? docker::build_with_buildkit(engine, *kit, spec, read_end.get(), on_line, ctx)
                     : docker::build_image(engine, spec, read_end.get(), on_line, ctx);
    read_end.reset();    // ends the packer when the engine gave up early
    packer.join();
    if (!packed && packed.error().code == Code::invalid) {    // the builder only missed something
        return tl::unexpected(packed.error());
    }
    if (!built) {
        return tl::unexpected(built.error());
    }
    TRY(std::move(packed));
    return Artefact{*built, name, part.site ? "static" : "image"};
}

Result<Artefact> make_artefact(docker::Engine& engine, const git::Mirror& mirror,
                               const ArtefactRequest& request, const config::Component& part,
                               const OnLine& on_line, const Context& ctx) {
    if (!part.build && !part.site) {
        auto taken = take_image(engine, part, request.means.logins, ctx);
        if (!taken && taken.error().code != Code::cancelled) {
            Error error = taken.error();
            error.message = "the image " + printable(part.image) + " of '" + part.name +
                            "' cannot be had: " + error.message;
            if (error.hint.empty()) {
                error.hint = "`docker pull` on the server tells whether its registry is up";
            }
            return tl::unexpected(std::move(error));
        }
        return taken;
    }
    auto arguments = part.build ? part.build->args : std::map<std::string, std::string>();
    arguments.insert(request.values.begin(), request.values.end());
    std::vector<std::string> last;
    const std::string name = image_repository(request.app, part.name) + ":" + request.tag;
    auto made = build_image(
        engine, mirror, request, part, name, arguments,
        [&](std::string_view said) {
            const std::string line = without_secrets(std::string(said), arguments);
            on_line(part.name, line);
            last.push_back(line);
            if (last.size() > lines_kept) {
                last.erase(last.begin());
            }
        },
        ctx);
    if (!made && (made.error().code == Code::failed || made.error().code == Code::unavailable)) {
        Error error = made.error();
        error.message = "the build of '" + part.name +
                        "' failed: " + without_secrets(error.message, arguments) + "\n" +
                        join(last, "\n");
        return tl::unexpected(std::move(error));
    }
    return made;
}

Result<Secret> read_password(const std::string& key, const std::string& path) {
    auto text = read_private_file(path, longest_password);
    if (!text) {
        Error error = text.error();
        error.message = key + ": " + error.message;
        return tl::unexpected(std::move(error));
    }
    const std::string_view password = trim(*text);
    if (password.empty()) {
        return fail(Code::invalid, key + ": " + path + " is empty",
                    "write the password or token alone into it");
    }
    return Secret(std::string(password));
}

std::string path_of(const config::Build& build) {
    return build.context.empty() || build.context == "." ? build.file
                                                         : build.context + "/" + build.file;
}

// What can be told of the Dockerfiles before anything is built; all faults at once.
Status check_dockerfiles(const git::Mirror& mirror, const ArtefactRequest& request,
                         const Context& ctx) {
    std::vector<std::string> faults;
    bool wants_buildkit = false;
    for (const auto* part : request.parts) {
        if (!part->build) {
            continue;
        }
        const std::string path = path_of(*part->build);
        const auto text = mirror.read_blob(request.commit, path, ctx);
        if (!text && text.error().code != Code::not_found) {
            return tl::unexpected(text.error());
        }
        if (!text) {
            faults.push_back("there is no " + printable(path) + " in the commit, for '" +
                             part->name + "'");
            continue;
        }
        const auto need = docker::find_buildkit_need(*text);
        if (need && !request.means.kit) {
            wants_buildkit = true;
            faults.push_back(printable(path) + ", line " + std::to_string(need->line) + ": " +
                             need->what + " needs BuildKit, which is not used here");
        }
    }
    if (faults.empty()) {
        return {};
    }
    return fail(Code::invalid, join(faults, "\n"),
                wants_buildkit ? request.means.remedy
                               : "`build: {context: ..., file: ...}` of the component says where "
                                 "its Dockerfile is");
}

}    // namespace

Result<BuildMeans> choose_means(const std::string& wish, const std::filesystem::path& scratch,
                                const Context& ctx) {
    if (wish == "classic") {
        return BuildMeans{{}, "`docker: {builder: auto}` in the server's file allows BuildKit"};
    }
    const char* path = std::getenv("PATH");
    const auto cli =
        docker::find_buildkit_cli(docker::docker_clis(path == nullptr ? "" : path), ctx);
    if (cli) {
        return BuildMeans{docker::BuildKit{*cli, scratch}, ""};
    }
    if (wish == "buildkit" || cli.error().code != Code::unavailable) {
        return tl::unexpected(cli.error());
    }
    return BuildMeans{{}, cli.error().hint};
}

Result<docker::Logins> read_logins(const std::map<std::string, config::Registry>& registries) {
    docker::Logins out;
    for (const auto& [host, registry] : registries) {
        TRY_ASSIGN(auto password, read_password("docker.registries." + host + ".password_file",
                                                registry.password_file));
        out.push_back({host, registry.user, std::move(password)});
    }
    return out;
}

std::string without_secrets(std::string line, const std::map<std::string, std::string>& arguments) {
    for (const auto& [name, value] : arguments) {
        if (!config::name_is_secret(name) && !config::value_is_secret(value)) {
            continue;
        }
        for (const std::string_view part : split(value, '\n')) {
            const std::string shown = printable(part);
            if (shown.size() < shortest_secret) {
                continue;
            }
            for (auto at = line.find(shown); at != std::string::npos; at = line.find(shown, at)) {
                line.replace(at, shown.size(), "***");
                at += 3;
            }
        }
    }
    return line;
}

std::string image_repository(const std::string& app, const std::string& part) {
    return slug(app, 32) + "-" + slug(part, 32);
}

Result<std::map<std::string, Artefact>> make_artefacts(docker::Engine& engine,
                                                       const git::Mirror& mirror,
                                                       const ArtefactRequest& request,
                                                       const OnLine& on_line, const Context& ctx) {
    const auto& parts = request.parts;
    TRY(check_dockerfiles(mirror, request, ctx));
    std::vector<Result<Artefact>> made(parts.size(), Artefact());
    {
        // The first failure stops the others.
        CancelSource stop(ctx);
        const Context limited = stop.context();
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            threads.emplace_back([&, i] {
                made[i] = make_artefact(engine, mirror, request, *parts[i], on_line, limited);
                if (!made[i]) {
                    stop.cancel();
                }
            });
        }
    }
    TRY(ctx.ok());
    // What failed by itself is told before what was cancelled because of it.
    for (const auto& artefact : made) {
        if (!artefact && artefact.error().code != Code::cancelled) {
            return tl::unexpected(artefact.error());
        }
    }
    std::map<std::string, Artefact> out;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (!made[i]) {
            return tl::unexpected(made[i].error());
        }
        out[parts[i]->name] = *made[i];
    }
    return out;
}

}    // namespace seatrial::release
