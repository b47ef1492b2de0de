// The plan of provider `local`: processes, worktree and database on this machine. A pure
// function: it reads no clock, file or server.
#pragma once

#include "preview/draft.h"

namespace seatrial::preview::local {

// ensure-nodes for all that the spec names; where components run from another spec, first all
// that may fail without touching them, then stop nodes, then the rest; destroy-nodes at the end
// for owned refs that the spec no longer names.
plan::Graph make_plan(const Spec& spec, const config::App& app, const Layout& layout,
                      const World& world);

}    // namespace seatrial::preview::local
