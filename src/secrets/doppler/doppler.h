// A config of a Doppler project.
#pragma once

#include <string_view>

#include "secrets/source.h"

namespace seatrial::secrets::doppler {

class Doppler : public Source {
public:
    Result<Values> read(const config::SecretSource& from, const Context& ctx) const override;
};

// Of an answer's body.
Result<Values> parse_answer(std::string_view body);

}    // namespace seatrial::secrets::doppler
