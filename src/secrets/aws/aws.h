// A secret of AWS Secrets Manager.
#pragma once

#include <string_view>

#include "secrets/source.h"

namespace seatrial::secrets::aws {

class Aws : public Source {
public:
    Result<Values> read(const config::SecretSource& from, const Context& ctx) const override;
};

// Of an answer's body; `variable`: whose value it is, "" = a JSON object.
Result<Values> parse_answer(std::string_view body, const std::string& variable);
// What a refusal says it is ("AccessDeniedException"), "" when it says nothing that we know.
std::string parse_refusal(std::string_view body);

}    // namespace seatrial::secrets::aws
