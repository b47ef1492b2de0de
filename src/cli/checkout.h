// The repository one stands in, as commands send it to the daemon.
#pragma once

#include <string>

#include "cli/client.h"
#include "git/repository.h"

namespace seatrial::cli {

inline constexpr std::string_view app_file = "seatrial.yaml";

struct Checkout {
    git::Repository repository;
    std::string ref;
    std::string commit;
    std::string branch;    // full ref, "" for a bare commit
    std::string text;      // of seatrial.yaml at the commit; "" when it has none
};

// `ref`: a branch or commit; "" = the current branch.
Result<Checkout> find_checkout(const std::string& ref, const Context& ctx);

// Posts `body` to `path`; starts a daemon first where none answers and `may_start`, and sends the
// commit's bundle when the daemon says that it lacks it.
Result<nlohmann::json> post_with_commit(DaemonClient& daemon, const Globals& globals,
                                        const Checkout& checkout, const std::string& path,
                                        const nlohmann::json& body, bool may_start,
                                        const Context& ctx);

}    // namespace seatrial::cli
