#include "release/deployed.h"

#include <tuple>

namespace seatrial::release {

Result<std::vector<Deployed>> all_deployments(store::Records& records) {
    store::LifeFilter filter;
    filter.kind = deployment_kind;
    TRY_ASSIGN(const auto lives, records.lives(filter));
    std::vector<Deployed> out;
    for (const auto& life : lives) {
        Deployed one;
        TRY_ASSIGN(one.spec, parse_spec(life.spec));
        TRY_ASSIGN(one.standing, parse_standing(life.status));
        out.push_back(std::move(one));
    }
    return out;
}

const Content* serving(const Deployed& deployed) {
    const auto& [state, contents] = std::tie(deployed.standing.state, deployed.standing.contents);
    const auto slot = state.slots.find(state.stable);
    const auto content = contents.find(state.stable);
    const bool serves = slot != state.slots.end() && slot->second.phase == Phase::serving;
    return serves && content != contents.end() ? &content->second : nullptr;
}

}    // namespace seatrial::release
