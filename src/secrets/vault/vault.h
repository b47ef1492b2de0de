// A secret in the KV engine of HashiCorp Vault or OpenBao, versions 1 and 2.
#pragma once

#include <string_view>

#include "secrets/source.h"

namespace seatrial::secrets::vault {

class Vault : public Source {
public:
    Result<Values> read(const config::SecretSource& from, const Context& ctx) const override;
};

// Of an answer's body, of either version.
Result<Values> parse_answer(std::string_view body);

}    // namespace seatrial::secrets::vault
