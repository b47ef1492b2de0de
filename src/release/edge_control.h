// The edge of this host as the records want it: every deployment's site, in one HAProxy that is
// started when it is missing and brought to what is wanted when it differs.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "edge/haproxy.h"
#include "store/records.h"

namespace seatrial::release {

// Thread: any; one change at a time.
class EdgeControl {
public:
    // Starts a program that outlives this one; ok when it has been started, not when it serves;
    // and when it runs already.
    using Launch = std::function<Status(const std::vector<std::string>& argv, const Context& ctx)>;

    EdgeControl(store::Records& records, std::filesystem::path folder, std::string program,
                Launch launch)
        : records_(records),
          haproxy_(std::move(folder), std::move(program)),
          launch_(std::move(launch)) {}

    // Reads the records anew. Without a deployment nothing is started. Errors: unavailable (it
    // cannot be started or reached), and those of edge::Haproxy::apply.
    Result<edge::Applied> refresh(const Context& ctx);
    edge::Haproxy& haproxy() { return haproxy_; }

private:
    Result<edge::Wanted> wanted() const;
    Status start(const edge::Wanted& wanted, const Context& ctx);
    Result<edge::Applied> refresh_locked(const Context& ctx);

    store::Records& records_;
    edge::Haproxy haproxy_;
    Launch launch_;
    std::mutex mutex_;
    std::vector<std::string> told_;    // warnings that the log has
};

}    // namespace seatrial::release
