// Room on the engine's disk: images of releases that nothing needs go. Needed is, over all apps and
// environments, what a deployment wants, runs, keeps warm or can go back to, what waits for an
// approval, and the newest releases of each app. Only images that carry our label and stand in the
// records as a release's are ever touched: what others made, and what is being built, is not known
// here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "docker/engine.h"
#include "release/builder.h"
#include "release/deployed.h"

namespace seatrial::release {

// Names ("repository:tag") of images that may go. `releases`: newest first. A rejected release is
// none of the newest. Pure.
std::vector<std::string> choose_unneeded(const std::vector<Release>& releases,
                                         const std::vector<Deployed>& deployments, int keep);

struct DroppedImage {
    std::string name;
    std::int64_t bytes = 0;    // of the whole image: layers that others share stay
};
// Removes them, or with `dry_run` only says which. `spare`: a release (id) that stays, too. An
// image that a container uses stays. Errors: the engine's, the records'.
Result<std::vector<DroppedImage>> drop_unneeded(store::Records& records, docker::Engine& engine,
                                                int keep, const std::string& spare, bool dry_run,
                                                const Context& ctx);

struct CacheUse {
    std::int64_t bytes = 0;    // known with `dry_run`
    std::int64_t freed = 0;    // or would be
};
// BuildKit's cache down to `budget` bytes; what was not used for longest goes first. It knows no
// owners: that of others on the engine counts and goes, too. 0: left alone. The classic builder has
// no cache but the layers of images, which go with them.
Result<CacheUse> trim_build_cache(docker::Engine& engine, std::int64_t budget, bool dry_run,
                                  const Context& ctx);

// `unavailable` when less than `min_free` bytes are free where the engine has its data, also after
// drop_unneeded(). 0: nothing is asked.
Status make_room(store::Records& records, docker::Engine& engine, int keep, std::int64_t min_free,
                 const Context& ctx);

}    // namespace seatrial::release
