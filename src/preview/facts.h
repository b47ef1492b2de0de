// Facts of the outside world that a plan needs and must not look up itself: found once per
// generation, before the journal, and frozen into the spec.
#pragma once

#include "git/mirror.h"
#include "preview/parts.h"
#include "preview/spec.h"

namespace seatrial::preview {

git::Mirror mirror_of(const Parts& parts, const Spec& spec);

// Fills template_name, tree_env, what the provider needs (dependency_tree, images) and, as far as
// it can be known, fork. Errors: `invalid` for the user's faults (missing variable, key file),
// `unavailable` while PostgreSQL or git does not answer.
Status find_facts(Spec& spec, const config::App& app, const Parts& parts, const Context& ctx);

}    // namespace seatrial::preview
