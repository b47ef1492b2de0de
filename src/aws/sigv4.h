// Signatures of requests to AWS: Signature Version 4, in headers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "aws/credentials.h"
#include "base/clock.h"

namespace seatrial::aws {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Signable {
    std::string method = "POST";
    std::string host;          // with the port, when the URL names one
    std::string path = "/";    // as it is sent, without dot segments
    Pairs query;               // not escaped
    Pairs headers;             // names in lower case; all are signed
    std::string body;
};

// The headers to send besides those of `request`: authorization, x-amz-date and, for temporary
// credentials, x-amz-security-token.
Pairs sign(const Signable& request, const Credentials& credentials, const std::string& region,
           const std::string& service, WallTime at);

}    // namespace seatrial::aws
