// `release.checks` as plain values.
#pragma once

#include <string>
#include <vector>

#include "config/fault.h"
#include "config/release_check.h"
#include "config/yaml.h"

namespace seatrial::config {

// From the list that validate() has put into its one form. What a check lacks, or has of another
// kind, becomes a fault, some at most; such a check is left out.
std::vector<ReleaseCheck> read_checks(const Node& list, const std::string& name,
                                      std::vector<Fault>& faults);

}    // namespace seatrial::config
