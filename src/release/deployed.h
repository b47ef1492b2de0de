// All that is deployed, as the records have it.
#pragma once

#include <vector>

#include "release/deployment.h"
#include "store/records.h"

namespace seatrial::release {

struct Deployed {
    Spec spec;
    Standing standing;
};

// Of all apps and environments. One that cannot be read is an error: what it needs is not known.
Result<std::vector<Deployed>> all_deployments(store::Records& records);

// What users get there; null when nothing serves.
const Content* serving(const Deployed& deployed);

}    // namespace seatrial::release
