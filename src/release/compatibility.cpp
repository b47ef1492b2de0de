#include "release/compatibility.h"

#include "base/text.h"
#include "release/builder.h"

namespace seatrial::release {
namespace {

struct Side {
    std::string tag;    // "" where there is but one release
    Versions versions;
    const config::Compatibility& rules;
};

Side side_of(const Content& content) {
    Side out{content.tag, {}, content.compatibility};
    for (const auto& part : content.components) {
        // Of releases of an older seatrial the tag alone tells.
        out.versions[part.name] = part.version.empty() ? content.tag : part.version;
    }
    return out;
}

std::string name_of(const Side& side, const std::string& part) {
    return part + " " + side.versions.at(part) + (side.tag.empty() ? "" : " of " + side.tag);
}

// What `side` says about `other`, where it does not hold; each a line.
std::vector<std::string> misfits(const Side& side, const Side& other) {
    std::vector<std::string> out;
    for (const auto& [part, needs] : side.rules) {
        for (const auto& [needed, text] : needs) {
            const auto has = other.versions.find(needed);
            if (!side.versions.contains(part) || has == other.versions.end()) {
                continue;
            }
            const auto range = config::VersionRange::parse(text);
            const auto version = config::parse_version(has->second);
            if (!range || !version || !range->contains(*version)) {
                out.push_back(name_of(side, part) + " works with " + needed + " " + text +
                              ", not with " + name_of(other, needed));
            }
        }
    }
    return out;
}

}    // namespace

std::string version_of_image(std::string_view image) {
    image = image.substr(0, image.find('@'));
    const std::size_t colon = image.rfind(':');
    if (colon == std::string_view::npos || image.find('/', colon) != std::string_view::npos) {
        return "";
    }
    const std::string_view tag = image.substr(colon + 1);
    return config::parse_version(tag) ? std::string(tag) : "";
}

Versions versions_of(const git::Mirror& mirror, const std::string& commit,
                     const std::vector<const config::Component*>& parts, const std::string& whole,
                     const Context& ctx) {
    const auto text = [&](const std::string& folder, const char* file) {
        return mirror.read_blob(commit, folder + "/" + file, ctx).value_or("");
    };
    Versions out;
    for (const auto* part : parts) {
        const std::string folder = part->build  ? part->build->context
                                   : part->site ? part->site->context
                                                : "";
        std::string& version = out[part->name];
        if (!part->build && !part->site) {
            version = version_of_image(part->image);
        } else if (!folder.empty() && folder != ".") {
            version = version_in(text(folder, "package.json"), text(folder, "pyproject.toml"));
        }
        version = version.empty() ? whole : version;
    }
    return out;
}

Status check_own(const Versions& versions, const config::Compatibility& rules) {
    const Side side{"", versions, rules};
    const auto found = misfits(side, side);
    if (found.empty()) {
        return {};
    }
    return fail(
        Code::invalid,
        "its components do not fit each other:\n" + join(found, "\n") + "\n(release.compatibility)",
        "raise the version of one, or widen the range once it is tried");
}

Status check_beside(const Content& wanted, const Standing& standing, const std::string& env) {
    const Side side = side_of(wanted);
    std::vector<std::string> found;
    bool serves = false;
    for (const auto& [name, slot] : standing.state.slots) {
        const auto content = standing.contents.find(name);
        if ((slot.phase != Phase::serving && slot.phase != Phase::draining) ||
            content == standing.contents.end() || slot.release == wanted.release) {
            continue;
        }
        const Side other = side_of(content->second);
        auto lines = misfits(side, other);
        const auto back = misfits(other, side);
        lines.insert(lines.end(), back.begin(), back.end());
        serves = serves || (slot.phase == Phase::serving && !lines.empty());
        found.insert(found.end(), lines.begin(), lines.end());
    }
    if (found.empty()) {
        return {};
    }
    return fail(Code::refused,
                wanted.tag + " cannot run beside what " + (serves ? "serves" : "still drains") +
                    " in " + env + ":\n" + join(found, "\n") + "\n(release.compatibility)",
                serves ? "nothing was changed; first deploy a release whose components work with "
                         "both"
                       : "nothing was changed; try again when it has drained: `seatrial history " +
                             env + "`");
}

}    // namespace seatrial::release
