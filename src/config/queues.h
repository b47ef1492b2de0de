// `release.queues` and `release.cache` as plain values.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/fault.h"
#include "config/release_queue.h"
#include "config/yaml.h"

namespace seatrial::config {

// Of the file: components that a release has, and those of them with a port.
struct ReleaseParts {
    std::set<std::string> all, with_port;
};
// From maps that validate() has put into their one form. What one lacks, or has of another kind,
// becomes a fault.
std::vector<ReleaseQueue> read_queues(const Node& queues, const ReleaseParts& parts,
                                      const std::string& name, std::vector<Fault>& faults);
ReleaseCache read_cache(const Node& cache, const ReleaseParts& parts, const std::string& name,
                        std::vector<Fault>& faults);

}    // namespace seatrial::config
