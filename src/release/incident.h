// A release that was taken back, or never got users: what people look into afterwards.
#pragma once

#include <string>
#include <vector>

#include "store/values.h"

namespace seatrial::release {

struct Incident {
    std::string app, env;
    std::string release, tag;    // the bad one
    std::string back_to;         // tag of what serves from now on; "" = nothing
    std::string cause, asked_by;
    bool switched = false;                  // users were on it
    std::vector<std::string> gates = {};    // what each said
};

// Its row, with a new id and the time of now.
store::Incident make_incident(const Incident& incident);

}    // namespace seatrial::release
