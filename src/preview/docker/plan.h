// The plan of provider `docker`: images of the commit, a network, containers and a database. A
// pure function: it reads no clock, file or server.
//
// A component listens in its container at its container_port, a static one at 8080 without it, any
// other on the port that it is published at; its variables say so, and components reach each other
// there by their names. It runs what its image runs, as in a release; the migration runs its
// command in the image of one of them.
#pragma once

#include "preview/draft.h"

namespace seatrial::preview::docker {

// The component whose image the migration runs in; nullptr when there is none.
const config::Component* migrating_component(const config::App& app);
// What the plan needs of spec.images: component → name of its image at this commit, the same for
// components that want the same.
std::map<std::string, std::string> choose_images(const Spec& spec, const config::App& app,
                                                 const std::string& instance);
// As local::make_plan. Images of former commits go at the end.
plan::Graph make_plan(const Spec& spec, const config::App& app, const Layout& layout,
                      const World& world);

}    // namespace seatrial::preview::docker
