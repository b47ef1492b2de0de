// The plan of provider `local`: processes, worktree and database on this machine. A pure
// function: it reads no clock, file or server.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "plan/graph.h"
#include "preview/spec.h"

namespace seatrial::preview::local {

// Where things lie; fixed for the daemon's life.
struct Layout {
    std::filesystem::path data;
    std::filesystem::path previews;    // worktrees
    std::string database_place = "postgres";
};

// What stands now, as far as the plan depends on it.
struct World {
    std::map<plan::Ref, plan::Observation> seen;    // of refs the life owns; absent ones left out
    std::vector<plan::Ref> owned;                   // all refs in the records
};

// ensure-nodes for all that the spec names; where components run from another spec, first all
// that may fail without touching them, then stop nodes, then the rest; destroy-nodes at the end
// for owned refs that the spec no longer names.
plan::Graph make_plan(const Spec& spec, const config::App& app, const Layout& layout,
                      const World& world);

}    // namespace seatrial::preview::local
