#include "release/retention.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/text.h"
#include "docker/events.h"
#include "docker/images.h"
#include "log/log.h"

namespace seatrial::release {
namespace {

constexpr int most_releases = 100'000;

void need(std::set<std::string>& images, const Content& content) {
    for (const auto& part : content.components) {
        images.insert(part.image);
    }
}

std::string gigabytes(std::int64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
    return text;
}

Result<std::int64_t> free_bytes(docker::Engine& engine, const Context& ctx) {
    TRY_ASSIGN(const auto info, engine.info(ctx));
    struct statvfs disk{};
    if (::statvfs(info.data_root.c_str(), &disk) != 0) {
        return fail(Code::unavailable,
                    "cannot see how much is free in " + printable(info.data_root) +
                        ", where the engine has its data",
                    "`docker: {min_free: 0}` in the server's file builds without looking");
    }
    return static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
}

// One that cannot be read stops this: what it needs is not known.
Result<std::vector<Release>> all_releases(store::Records& records) {
    TRY_ASSIGN(const auto rows, records.releases("", most_releases));
    std::vector<Release> out;
    for (const auto& row : rows) {
        TRY_ASSIGN(auto release, release_of(row));
        out.push_back(std::move(release));
    }
    return out;
}

}    // namespace

std::vector<std::string> choose_unneeded(const std::vector<Release>& releases,
                                         const std::vector<Deployed>& deployments, int keep) {
    std::set<std::string> needed;    // image ids
    for (const auto& [spec, standing] : deployments) {
        need(needed, spec.wanted);
        need(needed, spec.previous);
        for (const auto& [slot, content] : standing.contents) {
            need(needed, content);
        }
    }
    std::map<std::string, int> kept;    // by app
    for (const auto& release : releases) {
        if (!release.rejected.empty() || kept[release.app]++ >= keep) {
            continue;
        }
        for (const auto& [part, artefact] : release.components) {
            needed.insert(artefact.image);
        }
    }
    std::set<std::string> names;
    for (const auto& release : releases) {
        for (const auto& [part, artefact] : release.components) {
            if (!needed.contains(artefact.image)) {
                names.insert(artefact.name);
            }
        }
    }
    return {names.begin(), names.end()};
}

Result<std::vector<DroppedImage>> drop_unneeded(store::Records& records, docker::Engine& engine,
                                                int keep, const std::string& spare, bool dry_run,
                                                const Context& ctx) {
    TRY_ASSIGN(auto releases, all_releases(records));
    if (releases.empty()) {
        return std::vector<DroppedImage>();    // nothing to ask an engine about
    }
    TRY_ASSIGN(const auto asked, records.approvals("", "", true, most_releases));
    std::set<std::string> spared;
    for (const auto& release : releases) {
        const bool awaited = std::ranges::any_of(
            asked, [&](const store::Approval& one) { return one.subject == release.id; });
        for (const auto& [part, artefact] : release.components) {
            if (release.id == spare || awaited) {
                spared.insert(artefact.image);
            }
        }
    }
    TRY_ASSIGN(const auto deployments, all_deployments(records));
    const auto unneeded = choose_unneeded(releases, deployments, keep);
    const std::set<std::string> names(unneeded.begin(), unneeded.end());
    TRY_ASSIGN(const auto images, docker::list_our_images(engine, ctx));
    std::vector<DroppedImage> dropped;
    for (const auto& image : images) {
        if (!engine.is_ours(image.labels) || spared.contains(image.id)) {
            continue;
        }
        for (const auto& name : image.names) {
            if (!names.contains(name)) {
                continue;
            }
            const Status removed = dry_run ? Status() : docker::remove_image(engine, name, ctx);
            if (removed) {
                dropped.push_back({name, image.bytes});
            } else if (removed.error().code != Code::conflict) {
                return tl::unexpected(removed.error());
            }
        }
    }
    return dropped;
}

Result<CacheUse> trim_build_cache(docker::Engine& engine, std::int64_t budget, bool dry_run,
                                  const Context& ctx) {
    CacheUse use;
    if (budget <= 0) {
        return use;
    }
    if (dry_run) {
        TRY_ASSIGN(const auto disk, docker::disk_use(engine, ctx));
        use.bytes = disk.build_cache;
        use.freed = std::max<std::int64_t>(use.bytes - budget, 0);
        return use;
    }
    TRY_ASSIGN(use.freed, docker::prune_build_cache(engine, budget, ctx));
    return use;
}

Status make_room(store::Records& records, docker::Engine& engine, int keep, std::int64_t min_free,
                 const Context& ctx) {
    if (min_free <= 0) {
        return {};
    }
    TRY_ASSIGN(auto free, free_bytes(engine, ctx));
    if (free >= min_free) {
        return {};
    }
    TRY_ASSIGN(const auto dropped, drop_unneeded(records, engine, keep, "", false, ctx));
    log::info("made room for a build", {{"images", dropped.size()}});
    TRY_ASSIGN(free, free_bytes(engine, ctx));
    if (free >= min_free) {
        return {};
    }
    return fail(Code::unavailable,
                "nothing is built with less than " + gigabytes(min_free) +
                    " free on the engine's disk; there are " + gigabytes(free) + ", " +
                    (dropped.empty() ? "and no release has images that nothing needs"
                                     : "after " + std::to_string(dropped.size()) +
                                           " images that nothing needed went"),
                "free some (`docker system df` shows what uses it), or set `docker: {min_free: "
                "...}` in the server's file");
}

}    // namespace seatrial::release
