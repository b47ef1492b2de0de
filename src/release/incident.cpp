#include "release/incident.h"

#include <nlohmann/json.hpp>

#include "base/names.h"
#include "crypto/crypto.h"

namespace seatrial::release {

store::Incident make_incident(const Incident& incident) {
    const WallTime now = now_utc();
    const nlohmann::json data = {{"release", incident.release},   {"tag", incident.tag},
                                 {"back_to", incident.back_to},   {"cause", incident.cause},
                                 {"asked_by", incident.asked_by}, {"switched", incident.switched},
                                 {"gates", incident.gates}};
    return {make_ulid(now.time_since_epoch().count(), crypto::random_u64(), crypto::random_u64()),
            incident.app, incident.env, now,
            data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

}    // namespace seatrial::release
