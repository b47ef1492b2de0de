#include "resource/docker_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/failpoint.h"
#include "base/names.h"
#include "docker/builds.h"
#include "docker/images.h"
#include "git/mirror.h"
#include "git/run.h"
#include "resource/build_context.h"

namespace seatrial::resource {
namespace {

using nlohmann::json;

tl::unexpected<Error> foreign(const std::string& name) {
    return fail(Code::conflict, "image " + name + " is not ours");
}

Result<plan::Observation> look(docker::Engine& engine, const std::string& name,
                               const Context& ctx) {
    const auto found = docker::inspect_image(engine, image_name(name), ctx);
    if (!found && found.error().code == Code::not_found) {
        return plan::Observation();
    }
    if (!found) {
        return tl::unexpected(found.error());
    }
    plan::Observation seen = judge_labels(engine, found->labels);
    seen.detail = found->id;
    return seen;
}

// The last lines of a build, for who has to mend it.
class Tail {
public:
    void add(std::string_view line) {
        lines_.emplace_back(line);
        if (lines_.size() > 12) {
            lines_.erase(lines_.begin());
        }
    }
    std::string text() const {
        std::string out;
        for (const auto& line : lines_) {
            out += "\n" + line;
        }
        return out;
    }

private:
    std::vector<std::string> lines_;
};

// On every layer that a build of this type makes and on no other image of ours: those of releases
// are needed for a rollback, also without a name.
docker::Labels layer_labels(const docker::Engine& engine) {
    return {{"seatrial.image", engine.instance()}};
}

Result<Fd> open_log(const json& spec) {
    const std::filesystem::path file = spec.value("log", "");
    if (file.empty()) {
        return Fd();
    }
    TRY(make_dirs(file.parent_path(), 0700));
    Fd log(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    return log ? Result<Fd>(std::move(log)) : fail_errno("cannot open " + file.string(), errno);
}

}    // namespace

std::string image_name(const std::string& ref_name) {
    return ref_name + ":latest";
}

plan::Traits DockerImage::traits() const {
    plan::Traits traits;
    traits.on_change = plan::OnChange::replace;
    traits.pool = "build";
    traits.rank = 5;
    traits.title = "image";
    return traits;
}

Result<std::vector<std::string>> DockerImage::list(const std::string& place, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_at(place));
    TRY_ASSIGN(const auto images, docker::list_our_images(*engine, ctx));
    std::vector<std::string> names;
    for (const auto& image : images) {
        for (const auto& name : image.names) {
            const std::string ours = name.substr(0, name.rfind(':'));
            if (image_name(ours) == name && is_our_name(engines_.instance(), ours)) {
                names.push_back(ours);
            }
        }
    }
    return names;
}

Result<plan::Observation> DockerImage::observe(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    return look(*engine, ref.name, ctx);
}

Status DockerImage::build(docker::Engine& engine, const plan::Ref& ref, const json& spec,
                          const plan::Progress& progress, const Context& ctx) {
    docker::BuildSpec wanted;
    wanted.name = image_name(ref.name);
    wanted.labels = labels_for(spec);
    wanted.labels.merge(layer_labels(engine));
    wanted.memory_bytes = spec.value("memory", std::int64_t{0});
    Tail tail;
    TRY_ASSIGN(const Fd log, open_log(spec));
    const auto on_line = [&](std::string_view line) {
        tail.add(line);
        if (log) {    // not worth a build's failure
            const std::string text = std::string(line) + "\n";
            [[maybe_unused]] const auto n = ::write(log.get(), text.data(), text.size());
        }
        if (progress) {
            progress(line);
        }
    };
    const std::string source = spec.value("pull", "");
    Fd context;
    std::jthread archiver;
    Status archived;
    if (!source.empty()) {
        TRY(docker::check_image_name(source));
        TRY_ASSIGN(context, git::text_fd(tar_of({{"Dockerfile", "FROM " + source + "\n"}})));
    } else {
        wanted.dockerfile = spec.value("dockerfile", "Dockerfile");
        wanted.target = spec.value("target", "");
        wanted.arguments = spec.value("arguments", std::map<std::string, std::string>());
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            return fail_errno("pipe", errno);
        }
        context = Fd(ends[0]);
        const git::Mirror mirror(mirrors_ / spec.at("mirror").get<std::string>());
        const BuildContext files{spec.at("commit").get<std::string>(), spec.value("context", ""),
                                 wanted.dockerfile,
                                 spec.value("files", std::map<std::string, std::string>())};
        archiver = std::jthread([&archived, mirror, files, ctx, end = ends[1]] {
            const Fd out(end);
            archived = write_build_context(mirror, files, out.get(), ctx);
        });
    }
    const auto built = docker::build_image(engine, wanted, context.get(), on_line, ctx);
    context.reset();    // a builder that read not all of it must not keep the archiver waiting
    if (archiver.joinable()) {
        archiver.join();
    }
    if (!archived &&
        archived.error().code == Code::invalid) {    // the builder only missed something
        return archived;
    }
    if (!built && built.error().code == Code::failed) {
        return fail(Code::failed, built.error().message + tail.text(),
                    "mend the Dockerfile, or what it runs");
    }
    TRY(built);
    return archived;
}

Status DockerImage::create(const plan::Ref& ref, const json& spec, const plan::Progress& progress,
                           const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(const auto seen, look(*engine, ref.name, ctx));
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    if (seen.presence == plan::Presence::ready && seen.spec_hash == plan::spec_hash(spec)) {
        return {};
    }
    TRY(failpoint("docker-image.create", "before"));
    const std::string source = spec.value("pull", "");
    bool pulled = false;
    if (!source.empty()) {
        const auto there = docker::inspect_image(*engine, source, ctx);
        if (!there && there.error().code != Code::not_found) {
            return tl::unexpected(there.error());
        }
        if (!there) {
            TRY(docker::pull_image(*engine, source, std::nullopt, progress, ctx));
            pulled = true;
        }
    }
    TRY(build(*engine, ref, spec, progress, ctx));
    TRY(failpoint("docker-image.create", "built"));
    if (pulled) {
        TRY(docker::forget_pulled_name(*engine, source, ctx));
    }
    return failpoint("docker-image.create", "after");
}

Result<plan::Removal> DockerImage::destroy(const plan::Ref& ref, const Context& ctx) {
    TRY_ASSIGN(auto* engine, engines_.engine_of(ref));
    TRY_ASSIGN(const auto seen, look(*engine, ref.name, ctx));
    plan::Removal removal;
    if (seen.presence == plan::Presence::absent) {
        TRY(docker::prune_unnamed_images(*engine, layer_labels(*engine), ctx));
        removal.note = "was not there";
        return removal;
    }
    if (seen.presence == plan::Presence::foreign) {
        return foreign(ref.name);
    }
    TRY(failpoint("docker-image.destroy", "before"));
    TRY(docker::remove_image(*engine, image_name(ref.name), ctx));
    TRY(docker::prune_unnamed_images(*engine, layer_labels(*engine), ctx));
    TRY(failpoint("docker-image.destroy", "after"));
    removal.note = "removed";
    return removal;
}

}    // namespace seatrial::resource
