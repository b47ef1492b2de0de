#include "release/pointers.h"

#include "docker/images.h"
#include "release/builder.h"

namespace seatrial::release {

Pointers make_pointers(const std::vector<Deployed>& deployments) {
    Pointers out;
    for (const auto& deployed : deployments) {
        const Spec& spec = deployed.spec;
        const auto point = [&](const std::string& tag, const Content* content) {
            for (const auto& part :
                 content != nullptr ? content->components : std::vector<Component>()) {
                out.wanted[image_repository(spec.app, part.name) + ":" + tag] = part.image;
            }
        };
        const std::string back = spec.env == "production" ? "rollback" : spec.env + "-rollback";
        point(spec.env, serving(deployed));
        point(back, spec.previous.release.empty() ? nullptr : &spec.previous);
        // A part that a release has no more has no pointer either.
        std::vector<const Content*> known{&spec.wanted, &spec.previous};
        for (const auto& [slot, content] : deployed.standing.contents) {
            known.push_back(&content);
        }
        for (const Content* content : known) {
            for (const auto& part : content->components) {
                const std::string repository = image_repository(spec.app, part.name);
                out.names.insert({repository + ":" + spec.env, repository + ":" + back});
            }
        }
    }
    return out;
}

Status move_pointers(store::Records& records, docker::Engine& engine, const Context& ctx) {
    TRY_ASSIGN(const auto deployments, all_deployments(records));
    if (deployments.empty()) {
        return {};    // nothing to ask an engine about
    }
    const Pointers pointers = make_pointers(deployments);
    TRY_ASSIGN(const auto images, docker::list_our_images(engine, ctx));
    std::set<std::string> ours;
    std::map<std::string, std::string> now;
    for (const auto& image : images) {
        if (!engine.is_ours(image.labels)) {
            continue;
        }
        ours.insert(image.id);
        for (const auto& name : image.names) {
            now[name] = image.id;
        }
    }
    for (const auto& [name, image] : pointers.wanted) {
        if (ours.contains(image) && now[name] != image) {
            TRY(docker::tag_image(engine, image, name, ctx));
        }
    }
    for (const auto& name : pointers.names) {
        if (now.contains(name) && !now[name].empty() && !pointers.wanted.contains(name)) {
            TRY(docker::remove_image(engine, name, ctx));
        }
    }
    return {};
}

}    // namespace seatrial::release
